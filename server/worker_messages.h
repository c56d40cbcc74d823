/*
 * worker_messages.h - what the parent and a worker say to each other (frame.h).
 *
 *     worker: ready    it has started and waits for a job
 *     parent: job      what to make of what; with the lists of UIDs and files as a file (worker_list.h)
 *     parent: trial    open the engine for such a job, and do nothing else
 *     worker: stage    how far it is; at least one in every workers.silence_s, or it is taken for hung
 *     worker: engine   what the model runs on, each time that it has opened one
 *     worker: output   one instance that it has written, in the order in which they are to be sent
 *     worker: quality  what the checks of the result say, where its model has limits; once, before the end
 *     worker: end      what became of the job or the trial; then it waits for the next one
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/quality.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WORKER_STAGE_SIZE = 33,
    WORKER_PARAMETERS_SIZE = 2049,
    WORKER_FILE_SIZE = 129, /* below the results' folder */
    WORKER_REASON_SIZE = 241,
    WORKER_BACKEND_SIZE = 33,
    WORKER_DEVICE_SIZE = 129,
    WORKER_ARITHMETIC_SIZE = 97,
};

struct worker_job {
    int64_t job_id;
    int32_t attempt;
    char model_dir[SCTD_PATH_MAX], spool[SCTD_PATH_MAX], results[SCTD_PATH_MAX];
    char model_sha256[SHA256_HEX_SIZE];      /* that the job was made for */
    char parameters[WORKER_PARAMETERS_SIZE]; /* parameters.h */
    int32_t threads, batch, memory_mib, gpu_memory_mib;
    char backend[WORKER_BACKEND_SIZE]; /* as of engine_options: "auto", "cuda:1" */
    int32_t turn, turns;               /* the same */
    char source_series_uid[DICOM_UID_SIZE], series_uid[DICOM_UID_SIZE];
};

/* The stage in which the engine is opened. */
#define WORKER_LOADS "load"

struct worker_stage {
    char stage[WORKER_STAGE_SIZE];
    int64_t done, total;
};

struct worker_engine {
    char backend[WORKER_BACKEND_SIZE]; /* the one chosen: "cpu", "cuda:1" */
    char device[WORKER_DEVICE_SIZE];   /* the GPU's name; "": there is none */
    int32_t device_mib;                /* of its memory, held */
    char arithmetic[WORKER_ARITHMETIC_SIZE];
    char reason[WORKER_REASON_SIZE]; /* for people: why that one */
    char remark[WORKER_REASON_SIZE]; /* for people: what is slower than it should be; "": nothing */
    bool is_fallback;                /* as of engine_is_fallback */
};

struct worker_output {
    char sop_uid[DICOM_UID_SIZE], sop_class_uid[DICOM_UID_SIZE];
    char file[WORKER_FILE_SIZE];
    int64_t size;
    unsigned char sha256[SHA256_SIZE];
};

enum worker_outcome {
    WORKER_DONE,
    WORKER_FAILED,  /* may pass */
    WORKER_REFUSED, /* the input is no good */
    WORKER_BROKEN,  /* the process must be replaced; may pass */
    WORKER_FULL,    /* the disk has no room for the result */
    WORKER_NO_ENGINE, /* the engine could not be opened, which is not the job's fault; the process must be replaced */
    WORKER_OUTCOMES
};

struct worker_end {
    int32_t outcome; /* enum worker_outcome */
    char reason[WORKER_REASON_SIZE];
    double stage_ms[5]; /* as enum convert_stage */
    double load_ms;
    int32_t instances;
    bool was_there; /* the result: an earlier attempt had made it */
};

struct worker_quality {
    bool needs_review;
    char report[QUALITY_JSON_MAX + 1]; /* of quality_report_write */
};

enum worker_type {
    WORKER_READY,
    WORKER_JOB,
    WORKER_TRIAL,
    WORKER_STAGE,
    WORKER_ENGINE,
    WORKER_OUTPUT,
    WORKER_QUALITY,
    WORKER_END
};

struct worker_message {
    enum worker_type type;
    union {                    /* as the type says; READY has nothing */
        struct worker_job job; /* TRIAL too */
        struct worker_stage stage;
        struct worker_engine engine;
        struct worker_output output;
        struct worker_quality quality;
        struct worker_end end;
    };
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int worker_messages_send(int fd, const struct worker_message *message, int passed_fd,
                                        int timeout_ms, struct sctd_error *err);
/* Whether it is the name of a result below the results' folder: a folder and a file in it. */
bool worker_messages_is_file(const char *text);

/* Errors: SCTD_EDATA (no such type, a field that is missing or does not fit, a file that is none of ours, a report that
 * is none). */
SCTD_NODISCARD int worker_messages_read(struct worker_message *ret_message, const struct json *json,
                                        struct sctd_error *err);

#ifdef __cplusplus
}
#endif
