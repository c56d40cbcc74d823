/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's executor of CUDA programs as a CUDA backend whose two GPUs fail as a file says, which a test may change while
 * the program runs: $SCTD_TEST_GPU_FAULTS.  Each line is "GPU WHERE STATUS [SLICES]":
 *
 *     0 probe 100       the status of CUDA, as fault.h knows it, when it is looked for
 *     0 compile 2       when a plan is made
 *     0 compile 0 30    a plan takes 30 s
 *     0 run 719         when a volume is run
 *     0 run 719 13      the same, of 13 slices only
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/graph.h"
#include "engine/backend/load.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

#include "tests/support/cuda_host.h"

enum { GPUS = 2, ALL = 0 };

struct fault {
    char where[16];
    int64_t gpu, status, of;
};

static int32_t gpu; /* that the process has looked for last */

/* One line of the file; false: it is none. */
static bool read_fault(const char *line, struct fault *ret_fault)
{
    struct sctd_error err = {.code = SCTD_OK};
    char word[3][16] = {"", "", "0"};
    return sscanf(line, "%15s %15s %15s %15s", word[0], ret_fault->where, word[1], word[2]) >= 3 &&
           sctd_parse_i64(&ret_fault->gpu, word[0], 0, GPUS, &err) == 0 &&
           sctd_parse_i64(&ret_fault->status, word[1], 0, INT32_MAX, &err) == 0 &&
           sctd_parse_i64(&ret_fault->of, word[2], 0, INT32_MAX, &err) == 0;
}

static int fail(const char *where, int64_t slices, struct sctd_error *err)
{
    const char *path =
        getenv("SCTD_TEST_GPU_FAULTS"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    char line[128];
    int r = 0;
    while (file != NULL && r == 0 && fgets(line, sizeof line, file) != NULL) {
        struct fault f;
        if (!read_fault(line, &f) || f.gpu != gpu || strcmp(f.where, where) != 0) {
            continue;
        }
        if (f.status == 0) {
            const struct timespec rest = {.tv_sec = (time_t)f.of};
            (void)nanosleep(&rest, NULL);
        } else if (f.of == ALL || f.of == slices) {
            r = fault_set(err, FAULT_CUDA, (int)f.status, "made up", "a GPU of the tests");
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return r;
}

static int probe(const struct backend_device *device, struct sctd_error *err)
{
    const int r = cuda_host_find_gpu(&gpu, device, err);
    return r < 0 ? r : fail("probe", ALL, err);
}

static struct backend backend;
static struct backend_volumes volumes;

static int compile(struct backend_plan **ret_plan, const struct graph *graph,
                   const struct backend_options *options, struct sctd_error *err)
{
    int r = fail("compile", ALL, err);
    r = r < 0 ? r : cuda_host_module_backend.compile(ret_plan, graph, options, err);
    if (r == 0) {
        (*ret_plan)->backend = &backend;
    }
    return r;
}

static int run(struct backend_plan *plan, const struct backend_io *io, struct sctd_error *err)
{
    const int r = fail("run", ALL, err);
    return r < 0 ? r : cuda_host_module_backend.run(plan, io, err);
}

static int run_volume(struct backend_plan *plan, const struct backend_volume *volume,
                      struct sctd_error *err)
{
    const int r = fail("run", volume->dim[0], err);
    return r < 0 ? r : cuda_host_module_backend.volumes->run(plan, volume, err);
}

__attribute__((constructor)) static void make_backend(void)
{
    volumes = *cuda_host_module_backend.volumes;
    volumes.run = run_volume;
    backend = cuda_host_module_backend;
    backend.compile = compile;
    backend.run = run;
    backend.volumes = &volumes;
}

extern const struct backend_module sctd_backend_module;
__attribute__((visibility("default"))) const struct backend_module sctd_backend_module = {
    .abi = BACKEND_MODULE_ABI,
    .sizes = BACKEND_MODULE_SIZES,
    .backend = &backend,
    .probe = probe,
};
