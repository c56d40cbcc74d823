/*
 * config.h - /etc/sctd/sctd.yaml: who may send, where results go, and which rule a series meets.
 *
 * A mistake is refused with the file, the line and what was expected; docs/configuration.md describes every
 * key.  What is left out takes the default named here.
 *
 * Thread safety: a configuration is immutable once loaded.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CONFIG_DEFAULT_PATH "/etc/sctd/sctd.yaml"

enum { CONFIG_AE_TITLE_MAX = 16, CONFIG_NAME_MAX = 64 };

enum config_grid { CONFIG_GRID_SOURCE, CONFIG_GRID_AXIAL };

enum config_review {
    CONFIG_REVIEW_HOLD,    /* it is sent when somebody has accepted it */
    CONFIG_REVIEW_DELIVER, /* it is sent, marked */
};

/* Who may send.  Without any peer everybody may. */
struct config_peer {
    char *ae_title;    /* fnmatch(3) pattern of the calling AE title; NULL: any */
    char *address;     /* IPv4 or IPv6 address or prefix, "10.1.0.0/16"; NULL: any */
    bool compressed;   /* accept compressed transfer syntaxes from it */
    char *report_host; /* where it hears reports of storage commitment; NULL: where it asked from */
    uint16_t report_port; /* 0: nowhere but on the association that it asks on */
};

struct config_destination {
    char *name;
    char *ae_title;
    char *host;
    uint16_t port;
    bool no_storage_commitment; /* do not ask for it; the delivery is done when all is stored */
    bool get, move;             /* it may be asked for series (C-FIND) and for their images */
    bool compressed;            /* take them compressed by C-GET if it has them so */
    int32_t retrievals;         /* series that are fetched from it at a time: 2 */
    int32_t
        silence_s; /* a query that tells nothing, or a retrieval that brings no image, ends then */
};

/* All that is given must hold.  Texts are fnmatch(3) patterns without regard to case, but for the
 * description, an extended regular expression (POSIX) searched for without regard to case. */
struct config_match {
    char *modality;
    char *calling_ae_title;
    char *station_name;
    char *manufacturer;
    char *series_description;
    char *body_part_examined;
    char **image_type; /* value by value; "*" is any; further values of the image do not matter */
    uint32_t image_type_count;
    int32_t min_slices, max_slices; /* 0: no bound */
};

struct config_rule {
    char *name;
    struct config_match match;
    bool ignore;   /* do nothing with such a series */
    char *model;   /* NAME or NAME@VERSION */
    char **select; /* "echo=1": conditions as in --select of sctd convert */
    uint32_t select_count;
    char **destinations; /* names */
    uint32_t destinations_count;
    enum config_review review;    /* what becomes of a result whose checks failed */
    char *series_description;     /* NULL: "sCT " and the source's */
    int32_t series_number_offset; /* 0: 1000 */
    int32_t rescale_intercept;    /* 0 or -1024 */
    enum config_grid grid;
    int32_t priority; /* -100 ... 100; higher goes first */
};

struct config_completion {
    int32_t quiet_s; /* after the last byte of the study: 60 */
    int32_t
        closed_quiet_s; /* the same once the geometry is closed and the association is gone: 5 */
};

struct config_workers {
    int32_t slots;      /* 1 */
    char *precision;    /* "auto" */
    int32_t threads;    /* 0: one for each processor */
    int32_t batch;      /* 0: the engine's choice */
    int32_t timeout_s;  /* for one job: 3600 */
    int32_t silence_s;  /* after which a worker counts as hung: 60 */
    int32_t load_s;     /* for opening the engine: 600 */
    int32_t memory_mib; /* for one worker: 8192 */
    char **backends;    /* slot k has the k-th, over and over; none: "auto" */
    uint32_t backends_count;
    int32_t gpu_memory_mib; /* for one worker; 0: what is free */
};

/* That of slot `slot`, from 0 on; as long as the configuration. */
static inline const char *config_worker_backend(const struct config_workers *workers, int slot)
{
    const uint32_t n = workers->backends_count;
    return n == 0 ? "auto" : workers->backends[(uint32_t)slot % n];
}

/*
 * The slots that ask for the same backend as slot `slot`, "auto" and "cuda" being the same: how many there are, and how
 * many of them come before it.
 */
void config_worker_turn(const struct config_workers *workers, int slot, int32_t *ret_turn,
                        int32_t *ret_turns);

struct config_retention {
    int32_t received_days;    /* after delivery: 7 */
    int32_t produced_days;    /* after delivery: 7 */
    int32_t min_free_percent; /* of the spool's disk, below which nothing is accepted: 10 */
};

struct config_listen {
    char *address;        /* "0.0.0.0" */
    uint16_t *port;       /* NULL: 11112; 0: any that is free */
    int32_t associations; /* in all: 64 */
    int32_t per_peer;     /* 8 */
};

/* Who may ask over HTTP. */
struct config_token {
    char *name;
    char *role;    /* "viewer" (the default), "operator" or "admin" */
    bool identity; /* may see who patients are */
    char *sha256;  /* of the token, 64 hex digits: "sctd token" makes both */
};

/* The status API, metrics and dashboard; none without this section. */
struct config_http {
    char *address;           /* "127.0.0.1" */
    uint16_t *port;          /* NULL: 8104; 0: any */
    char *certificate, *key; /* PEM files: TLS */
    bool plain;              /* without TLS even beyond this machine: behind a proxy that has it */
    bool open_metrics;       /* /metrics without a token */
    int32_t connections;     /* 256 */
    int32_t requests_per_second; /* of an address: 2000 */
    int32_t failures_per_minute; /* of an address, with a token that is none: 10 */
    struct config_token *tokens;
    uint32_t tokens_count;
};

enum config_log_format { CONFIG_LOG_AUTO, CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct config {
    char *ae_title;   /* "SCTD" */
    char *state_dir;  /* "/var/lib/sctd": spool, results, database */
    char *models_dir; /* state_dir/models */
    struct config_listen listen;
    struct config_peer *peers;
    uint32_t peers_count;
    struct config_destination *destinations;
    uint32_t destinations_count;
    struct config_rule *rules;
    uint32_t rules_count;
    struct config_completion completion;
    struct config_workers workers;
    struct config_retention retention;
    enum config_log_format log_format;
    struct config_http *http; /* NULL: none */
};

/*
 * Read and check a file.  *ret_config: the caller frees it.
 * Errors: SCTD_EIO, SCTD_EDATA (names the file, the line or the rule, and what was expected), SCTD_ENOMEM.
 */
SCTD_NODISCARD int config_load(struct config **ret_config, const char *path,
                               struct sctd_error *err);
/* The same from `size` bytes of text; `path` is only named in errors. */
SCTD_NODISCARD int config_parse(struct config **ret_config, const char *path, const char *text,
                                size_t size, struct sctd_error *err);
void config_free(struct config *config); /* NULL is a no-op */
static inline void config_freep(struct config **config)
{
    config_free(*config);
}

enum { CONFIG_LISTEN_PORT = 11112 };
static inline int config_listen_port(const struct config_listen *listen)
{
    return listen->port == NULL ? CONFIG_LISTEN_PORT : *listen->port;
}

/* The destination called `name`, or NULL. */
const struct config_destination *config_find_destination(const struct config *config,
                                                         const char *name);

#ifdef __cplusplus
}
#endif
