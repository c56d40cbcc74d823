/*
 * fake_cuda.h - a stand-in of CUDA, cuDNN and cuBLASLt in the machine's memory, for tests of engine/backend/cuda/device.
 *
 * It has the functions that device/ uses and is linked instead of the libraries and of the kernels.  What CUDA
 * documents as asynchronous is asynchronous here, and as late or early as is allowed: each stream is a queue, and a
 * seed draws in which order they go on.  New memory holds garbage.  Everything that can fail can be made to.
 * One thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAKE_CUDA_DEVICES = 4,
    FAKE_CUDA_ENGINES = 64,
    FAKE_CUDA_ALGORITHMS = 8,
    FAKE_CUDA_NOTES = 4,
    FAKE_CUDA_NEVER = -1
};

/* When what was started runs. */
enum fake_cuda_order {
    FAKE_CUDA_LATE,  /* nothing before somebody waits, and then only what he waits for */
    FAKE_CUDA_EARLY, /* at once, as far as events allow */
    FAKE_CUDA_MIXED, /* drawn at each step */
    FAKE_CUDA_ORDERS
};

struct fake_cuda_device {
    const char *name;
    int major, minor, multiprocessors;
    size_t total_bytes;
    size_t hidden_bytes; /* that are said to be free and are not: another process is quicker */
    bool busy;           /* another process has it for itself */
};

/* An engine of cuDNN, which the heuristics list in the order of the table. */
struct fake_cuda_engine {
    const char *name;
    int note
        [FAKE_CUDA_NOTES]; /* cudnnBackendNumericalNote_t; TENSOR_CORE rounds f32 operands to tf32 */
    int n_notes;
    size_t workspace;
    float ms;        /* that a run takes */
    bool fallback;   /* only in the list of CUDNN_HEUR_MODE_FALLBACK */
    bool bare;       /* takes no epilogue */
    bool refuses;    /* no plan of it can be finalized */
    bool fails;      /* no plan of it can be executed */
    bool uncaptured; /* its execution cannot be captured in a CUDA graph */
    bool backwards;  /* adds up from the last to the first: other bits in f32 */
    bool wrong;      /* leaves out a tap */
};

/* An algorithm of cuBLASLt, which the heuristics list in the order of the table. */
struct fake_cuda_algorithm {
    const char *name;
    size_t workspace;
    float ms;
    uint32_t reduction; /* cublasLtReductionScheme_t; 0: none */
    bool refuses;       /* is listed with a state that is no success, and its check fails */
    bool fails;         /* cannot be executed */
    bool backwards;
};

/* The nth call of a function from now on (0: the next) does nothing but fail. */
struct fake_cuda_fault {
    const char *function;    /* NULL: of any that can */
    long nth;                /* FAKE_CUDA_NEVER: none */
    int cuda, cudnn, cublas; /* with these; a status of CUDA that lasts, lasts */
};

/* What a test sets; fake_cuda_reset sets all of it. */
struct fake_cuda_setup {
    enum fake_cuda_order order;
    uint64_t seed;
    unsigned char garbage; /* of which new memory is full */
    struct fake_cuda_device device[FAKE_CUDA_DEVICES];
    int n_devices, driver, runtime;
    struct fake_cuda_engine engine[FAKE_CUDA_ENGINES];
    int n_engines;
    struct fake_cuda_algorithm algorithm[FAKE_CUDA_ALGORITHMS];
    int n_algorithms;
    size_t cudnn_version;
    bool refuse_graphs;   /* cuDNN supports no operation graph */
    bool refuse_fused;    /* but of a convolution alone */
    bool text_counts_nul; /* cuDNN's text of a plan has a NUL that counts, and must have it back */
    bool no_text;         /* cuDNN has no text of its plans */
    bool no_tensor_kernels; /* of ours, for attention and merges */
    float conv64_ms;        /* our kernel for 64 channels */
    struct fake_cuda_fault fault;
    long
        nth_work; /* the nth piece of work on a device fails there with `work`; FAKE_CUDA_NEVER: none */
    int work;
    bool idle; /* products take their time and compute nothing */
};

/* What a test reads; fake_cuda_reset sets it to zero but for what is held. */
struct fake_cuda_counts {
    long calls;                /* that could fail */
    bool fired;                /* fault or nth_work did */
    long works;                /* pieces of work that ran */
    long frees_while_busy;     /* memory was freed while something was on its way on its device */
    long heuristics;           /* lists of engines and algorithms */
    long timings;              /* times between two events */
    long plans, plans_of_text; /* of cuDNN, finalized */
    long engine_runs[FAKE_CUDA_ENGINES];
    long algorithm_runs[FAKE_CUDA_ALGORITHMS];
    long plain_runs, conv64_runs; /* of our kernels for convolutions */
    long graph_launches;
    long contexts[FAKE_CUDA_DEVICES]; /* first uses of a device */
    /* Held */
    long device_blocks, pinned_blocks, streams, events, graphs, graph_execs;
    long handles, descriptors; /* of cuDNN and cuBLASLt */
    size_t device_bytes[FAKE_CUDA_DEVICES], peak_bytes[FAKE_CUDA_DEVICES];
};

extern struct fake_cuda_setup fake_cuda;
extern struct fake_cuda_counts fake_cuda_counts;

/* One device of compute capability 9.0 with 8 GiB, some engines and algorithms, no faults; devices that were lost
 * work again.  Nothing may be held. */
void fake_cuda_reset(void);

/* Draw everything that a seed decides: order, garbage, and what is drawn later. */
void fake_cuda_draw(uint64_t seed);

/* What is held, in words; NULL: nothing. */
const char *fake_cuda_find_held(void);
