/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/rng.h"
#include "engine/base/work.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"

static const char command[] = "sctd bench engine";

enum { FACTS_MAX = 1 << 16, SEED = 1 };

struct bench_args {
    const char *model, *synthetic, *models_dir, *backend, *precision;
    int64_t slices, threads, batch, gpu_memory_mib;
    bool json;
};

/* What was measured. */
struct bench {
    const struct bench_args *args;
    struct engine *engine;
    struct engine_stats stats;
    double seconds;     /* for all slices */
    double first_ms;    /* the first batch, which is not among the timed ones */
    double peak_mib;    /* of the process, before the ceiling was measured */
    double peak_gflops; /* not a number where the backend has no ceiling to tell */
    char cpu[128];
};

/* "Intel(R) ...", or "unknown": the kernel's name of the first processor. */
static void read_cpu_name(char *ret_name, size_t size)
{
    char line[512];
    (void)snprintf(ret_name, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL) {
        return;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) == 0 && value != NULL) {
            value += strspn(value, ": ");
            (void)snprintf(ret_name, size, "%.*s", (int)strcspn(value, "\n"), value);
            break;
        }
    }
    (void)fclose(f);
}

static int open_engine(struct bench *bench, const char *dir, struct sctd_error *err)
{
    const struct bench_args *args = bench->args;
    const struct engine_options options = {
        .backend = args->backend,
        .precision = args->precision,
        .threads = (int32_t)args->threads,
        .batch = (int32_t)args->batch,
        .gpu_memory_mib = (int32_t)args->gpu_memory_mib,
    };
    return engine_open(&bench->engine, dir, &options, err);
}

static int load_synthetic(struct bench *bench, const char *dir, struct sctd_error *err)
{
    (void)fprintf(stderr, "%s: random weights pass through %s\n", command, dir);
    int r = engine_write_synthetic(dir, bench->args->synthetic, SEED, err);
    return r < 0 ? r : open_engine(bench, dir, err);
}

/*
 * A model with random weights lives in a temporary folder just until it is loaded.  What would end
 * the process waits until the folder is removed; the engine's threads leave such signals to this one.
 */
static int open_synthetic(struct bench *bench, struct sctd_error *err)
{
    const char *temporary = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): one thread yet
    temporary = temporary == NULL || *temporary == '\0' ? "/tmp" : temporary;
    struct sctd_work work = {.fd = -1};
    sigset_t ends;
    sigset_t before;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &ends, &before);
    int r = sctd_work_make(&work, temporary, "sctd-bench", err);
    if (r < 0) {
        r = sctd_error(err, SCTD_EIO,
                       "%.160s takes no new folder: set TMPDIR to a folder that does", temporary);
    } else {
        r = load_synthetic(bench, work.path, err);
    }
    sctd_work_remove(&work);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static int open_model(struct bench *bench, struct sctd_error *err)
{
    const struct bench_args *args = bench->args;
    char dir[SCTD_PATH_MAX];
    if ((args->model == NULL) == (args->synthetic == NULL)) {
        return sctd_error(err, SCTD_EINVAL, "give either --model or --synthetic");
    }
    if (args->synthetic != NULL) {
        return open_synthetic(bench, err);
    }
    int r = model_resolve(dir, args->models_dir, args->model, err);
    return r < 0 ? r : open_engine(bench, dir, err);
}

/* One batch of noise in [-1, 1], run until all slices are done; the first batch is not timed. */
static int run_slices(struct bench *bench, struct sctd_error *err)
{
    const int64_t batch = bench->args->batch;
    int32_t height = 0;
    int32_t width = 0;
    engine_get_size(bench->engine, &height, &width);
    const size_t n = (size_t)batch * (size_t)height * (size_t)width;
    float *x = malloc(2 * n * sizeof *x);
    if (x == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "no memory for %lld slices at once: lower --batch",
                          (long long)batch);
    }
    struct sctd_rng rng = {SEED};
    for (size_t i = 0; i < n; i++) {
        x[i] = 2.0F * sctd_rng_uniform(&rng) - 1.0F;
    }
    struct engine_slices slices = {.n = batch, .x_cnn = x, .x_dino = x, .y = x + n};
    const double first = sctd_now_s();
    int r = engine_run(bench->engine, &slices, err);
    engine_take_stats(bench->engine, &bench->stats);
    const double start = sctd_now_s();
    bench->first_ms = 1e3 * (start - first);
    for (int64_t left = bench->args->slices; r == 0 && left > 0; left -= batch) {
        slices.n = left < batch ? left : batch;
        r = engine_run(bench->engine, &slices, err);
    }
    bench->seconds = sctd_now_s() - start;
    engine_take_stats(bench->engine, &bench->stats);
    free(x);
    return r;
}

static int measure(struct bench *bench, struct sctd_error *err)
{
    int r = open_model(bench, err);
    if (r == 0) {
        r = run_slices(bench, err);
    }
    if (r < 0) {
        return r;
    }
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    bench->peak_mib = (double)usage.ru_maxrss / 1024.0;
    read_cpu_name(bench->cpu, sizeof bench->cpu);
    r = engine_measure_peak(bench->engine, &bench->peak_gflops, err);
    if (!(bench->peak_gflops > 0.0)) {
        bench->peak_gflops = (double)NAN;
    }
    return r;
}

static double slices_per_s(const struct bench *bench)
{
    return (double)bench->args->slices / bench->seconds;
}

static double gflops(const struct bench *bench)
{
    return bench->stats.gflop_per_slice * slices_per_s(bench);
}

static void write_facts(struct json_writer *w, const struct bench *bench)
{
    const struct manifest *m = engine_get_manifest(bench->engine);
    int32_t height = 0;
    int32_t width = 0;
    engine_get_size(bench->engine, &height, &width);
    json_write_object_begin(w, NULL);
    json_write_string(w, "model", m->name);
    json_write_string(w, "version", m->version);
    json_write_int(w, "height", height);
    json_write_int(w, "width", width);
    json_write_string(w, "backend", engine_get_backend(bench->engine));
    json_write_string(w, "backend_because", engine_get_choice(bench->engine));
    json_write_string(w, "precision", bench->args->precision);
    json_write_string(w, "arithmetic", bench->stats.arithmetic);
    if (bench->stats.remark != NULL) {
        json_write_string(w, "remark", bench->stats.remark);
    }
    json_write_string(w, "cpu", bench->cpu);
    if (bench->stats.device != NULL) {
        json_write_string(w, "device", bench->stats.device);
        json_write_double(w, "device_mib", bench->stats.device_mib);
    }
    json_write_int(w, "threads", bench->stats.threads);
    json_write_int(w, "batch", bench->args->batch);
    json_write_int(w, "slices", bench->args->slices);
    json_write_double(w, "slices_per_s", slices_per_s(bench));
    json_write_double(w, "s_per_slice", 1.0 / slices_per_s(bench));
    json_write_object_begin(w, "stage_ms");
    for (int32_t i = 0; i < ENGINE_STAGES; i++) {
        json_write_double(w, engine_stage_name(i),
                          bench->stats.stage_ms[i] / (double)bench->args->slices);
    }
    json_write_object_end(w);
    json_write_double(w, "peak_mib", bench->peak_mib);
    json_write_double(w, "load_ms", bench->stats.load_ms);
    json_write_double(w, "first_run_ms", bench->first_ms);
    json_write_double(w, "gflop_per_slice", bench->stats.gflop_per_slice);
    json_write_double(w, "tflops", gflops(bench) * 1e-3);
    json_write_double(w, "peak_tflops", bench->peak_gflops * 1e-3);
    json_write_double(w, "peak_share", gflops(bench) / bench->peak_gflops);
    json_write_object_end(w);
}

static int print_json(const struct bench *bench, struct sctd_error *err)
{
    struct sctd_buf buf = sctd_buf_make(FACTS_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    write_facts(&w, bench);
    int r = cmd_print_json(&w);
    sctd_buf_fini(&buf);
    return r;
}

static void print_text(const struct bench *bench)
{
    const struct manifest *m = engine_get_manifest(bench->engine);
    int32_t height = 0;
    int32_t width = 0;
    engine_get_size(bench->engine, &height, &width);
    (void)fprintf(stdout, "model    %s@%s at %dx%d, loaded in %.0f ms\n", m->name, m->version,
                  height, width, bench->stats.load_ms);
    (void)fprintf(stdout, "on       %s, %d threads\n",
                  bench->stats.device != NULL ? bench->stats.device : bench->cpu,
                  bench->stats.threads);
    (void)fprintf(stdout, "by       backend %s (%s), precision %s: %s, batch %lld\n",
                  engine_get_backend(bench->engine), engine_get_choice(bench->engine),
                  bench->args->precision, bench->stats.arithmetic, (long long)bench->args->batch);
    if (bench->stats.remark != NULL) {
        (void)fprintf(stdout, "slower   %s\n", bench->stats.remark);
    }
    (void)fprintf(stdout, "speed    %.2f slices/s, %.3f s a slice, over %lld slices\n",
                  slices_per_s(bench), 1.0 / slices_per_s(bench), (long long)bench->args->slices);
    (void)fprintf(stdout, "stages  ");
    for (int32_t i = 0; i < ENGINE_STAGES; i++) {
        (void)fprintf(stdout, " %s %.1f ms%s", engine_stage_name(i),
                      bench->stats.stage_ms[i] / (double)bench->args->slices,
                      i + 1 < ENGINE_STAGES ? "," : " a slice\n");
    }
    (void)fprintf(stdout, "rate     %.0f GFLOP/s of the published graph's %.1f GFLOP a slice",
                  gflops(bench), bench->stats.gflop_per_slice);
    if (isfinite(bench->peak_gflops)) {
        (void)fprintf(stdout, ", %.0f %% of the %.0f GFLOP/s measured here",
                      100.0 * gflops(bench) / bench->peak_gflops, bench->peak_gflops);
    }
    (void)fprintf(stdout, "\nmemory   %.0f MiB at most, the whole process", bench->peak_mib);
    if (bench->stats.device != NULL) {
        (void)fprintf(stdout, "; %.0f MiB on the GPU", bench->stats.device_mib);
    }
    (void)fprintf(stdout, "\nstart    %.0f ms for the first batch, besides loading\n",
                  bench->first_ms);
}

static int bench_run(const struct bench_args *args, struct sctd_error *err)
{
    struct bench bench = {.args = args};
    int r = measure(&bench, err);
    if (r == 0 && args->json) {
        r = print_json(&bench, err);
    } else if (r == 0) {
        print_text(&bench);
    }
    engine_close(bench.engine);
    return r;
}

static int bench_engine(int argc, char **argv)
{
    struct bench_args args = {.models_dir = cmd_models_dir(),
                              .backend = "auto",
                              .precision = "auto",
                              .slices = 16,
                              .batch = 4};
    const struct option table[] = {
        {.name = "model",
         .kind = OPTION_TEXT,
         .target = (void *)&args.model,
         .argument = "MODEL",
         .help = "a model's directory (with a '/'), or NAME[@VERSION]"},
        {.name = "synthetic",
         .kind = OPTION_CHOICE,
         .target = (void *)&args.synthetic,
         .argument = "PRESET",
         .choices = "vits16|vitb16|vitl16|tiny",
         .help =
             "instead of --model: random weights of a published size (vits16, vitb16, vitl16), or tiny"},
        {.name = "slices",
         .kind = OPTION_NUMBER,
         .target = &args.slices,
         .argument = "N",
         .min = 1,
         .max = 1000000,
         .help = "slices to time, after one batch to warm up; default 16"},
        {.name = "batch",
         .kind = OPTION_NUMBER,
         .target = &args.batch,
         .argument = "N",
         .min = 1,
         .max = 1024,
         .help = "slices in flight at once; default 4"},
        CMD_BACKEND_OPTION(args.backend),
        CMD_GPU_MEMORY_OPTION(args.gpu_memory_mib),
        CMD_PRECISION_OPTION(args.precision),
        CMD_THREADS_OPTION(args.threads),
        CMD_MODELS_DIR_OPTION(args.models_dir),
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {
        .command = command,
        .summary = "Measure a model's speed on noise.",
        .option = table,
        .n = sizeof table / sizeof *table,
    };
    struct sctd_error err = {0};
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    if (r == 0) {
        r = bench_run(&args, &err);
    }
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}

int cmd_bench(int argc, char **argv)
{
    static const struct cmd benches[] = {
        {"engine", bench_engine, "slices per second, time per stage, memory, share of the peak"},
        {"ingest", cmd_bench_ingest, "images per second that are received and kept"},
        {NULL, NULL, NULL},
    };
    return cmd_dispatch("sctd bench", benches, argc, argv);
}
