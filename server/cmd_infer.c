/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/safetensors.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"

static const char command[] = "sctd infer";

enum { TAPS_MAX = 64, OUT_MAX = TAPS_MAX + 5, FACTS_MAX = 1 << 20 };

struct infer_args {
    const char *model, *models_dir, *input, *output, *backend, *precision;
    int64_t threads, batch, gpu_memory_mib;
    struct option_list taps;
    bool json;
};

/* One run: what it reads, what runs it, and what it will write. */
struct infer {
    const struct infer_args *args;
    struct safetensors *input;
    struct engine *engine;
    struct tensor_view out[OUT_MAX];
    size_t n_out;
    float *owned[OUT_MAX + 3]; /* the values of `out` and of the inputs */
    size_t n_owned;
    int64_t slices;
    double run_s;
    struct engine_stats stats;
};

static void infer_fini(struct infer *infer)
{
    for (size_t i = 0; i < infer->n_owned; i++) {
        free(infer->owned[i]);
    }
    engine_close(infer->engine);
    safetensors_close(infer->input);
}

/* Room for the values of an array, kept by `infer`. */
static int new_values(float **ret_values, struct infer *infer, int32_t n_dims, const int64_t *dim,
                      struct sctd_error *err)
{
    size_t bytes = sizeof(float);
    bool overflow = infer->n_owned == sizeof infer->owned / sizeof *infer->owned;
    for (int32_t i = 0; i < n_dims; i++) {
        overflow = overflow || __builtin_mul_overflow(bytes, (size_t)dim[i], &bytes);
    }
    float *values = overflow ? NULL : malloc(bytes);
    if (values == NULL) {
        return sctd_error(err, SCTD_ENOMEM,
                          "no memory for an array of %lld slices: split the input",
                          (long long)dim[0]);
    }
    infer->owned[infer->n_owned++] = values;
    *ret_values = values;
    return 0;
}

/* The same, to be written as `name`, which must outlive infer. */
static int add_output(float **ret_values, struct infer *infer, const char *name, int32_t n_dims,
                      const int64_t *dim, struct sctd_error *err)
{
    int r = new_values(ret_values, infer, n_dims, dim, err);
    if (r < 0) {
        return r;
    }
    struct tensor_view *t = &infer->out[infer->n_out++];
    *t = (struct tensor_view){.name = name, .dtype = TENSOR_F32, .n_dims = n_dims};
    memcpy(t->dim, dim, (size_t)n_dims * sizeof *dim);
    t->data = *ret_values;
    t->bytes = tensor_view_count(t) * sizeof(float);
    return 0;
}

/* The values of t as f32: an aligned copy. */
static int read_values(float **ret_values, struct infer *infer, const struct tensor_view *t,
                       struct sctd_error *err)
{
    float *values = NULL;
    int r = new_values(&values, infer, t->n_dims, t->dim, err);
    if (r < 0) {
        return r;
    }
    const size_t n = tensor_view_count(t);
    if (t->dtype == TENSOR_F32) {
        memcpy(values, t->data, n * sizeof *values);
    }
    for (size_t i = 0; t->dtype == TENSOR_I16 && i < n; i++) {
        int16_t value = 0;
        memcpy(&value, (const char *)t->data + i * sizeof value, sizeof value);
        values[i] = (float)value;
    }
    *ret_values = values;
    return 0;
}

static int check_slices(const struct infer *infer, const struct tensor_view *t,
                        struct sctd_error *err)
{
    const char *file = infer->args->input;
    if (t->n_dims != 4 || t->dim[0] < 1 || t->dim[1] != 1) {
        return sctd_error(err, SCTD_EDATA, "%.120s: %s is not of shape [N,1,H,W], N at least 1",
                          file, t->name);
    }
    if (t->dtype != TENSOR_F32) {
        return sctd_error(err, SCTD_EDATA, "%.120s: %s is %s: convert it to F32", file, t->name,
                          tensor_dtype_name(t->dtype));
    }
    for (int i = 2; i < 4; i++) {
        if (t->dim[i] < 16 || t->dim[i] > 2048 || t->dim[i] % 16 != 0) {
            return sctd_error(err, SCTD_EDATA,
                              "%.120s: %s has slices of %lldx%lld: use multiples of 16 up to 2048",
                              file, t->name, (long long)t->dim[2], (long long)t->dim[3]);
        }
    }
    return 0;
}

static int check_volume(const struct infer *infer, const struct tensor_view *t,
                        struct sctd_error *err)
{
    const char *file = infer->args->input;
    if (t->n_dims != 3 || t->dim[0] < 1 || t->dim[1] < 1 || t->dim[2] < 1) {
        return sctd_error(err, SCTD_EDATA, "%.120s: volume is not of shape [D,H,W], all at least 1",
                          file);
    }
    if (t->dtype != TENSOR_F32 && t->dtype != TENSOR_I16) {
        return sctd_error(err, SCTD_EDATA, "%.120s: volume is %s: convert it to F32 or I16", file,
                          tensor_dtype_name(t->dtype));
    }
    return 0;
}

/* height, width: the network's size, 0 for the model's own. */
static int open_engine(struct infer *infer, int64_t height, int64_t width, struct sctd_error *err)
{
    const struct infer_args *args = infer->args;
    char dir[SCTD_PATH_MAX];
    int r = model_resolve(dir, args->models_dir, args->model, err);
    if (r < 0) {
        return r;
    }
    const struct engine_options options = {
        .backend = args->backend,
        .precision = args->precision,
        .threads = (int32_t)args->threads,
        .batch = (int32_t)args->batch,
        .gpu_memory_mib = (int32_t)args->gpu_memory_mib,
        .height = (int32_t)height,
        .width = (int32_t)width,
        .taps = args->taps.item,
        .n_taps = args->taps.n,
    };
    return engine_open(&infer->engine, dir, &options, err);
}

static int add_taps(float **taps, struct infer *infer, struct sctd_error *err)
{
    for (size_t i = 0; i < infer->args->taps.n; i++) {
        struct engine_tap tap;
        engine_get_tap(infer->engine, i, &tap);
        int64_t dim[4] = {infer->slices};
        memcpy(dim + 1, tap.dim, (size_t)tap.n_dims * sizeof *dim);
        int r = add_output(&taps[i], infer, infer->args->taps.item[i], tap.n_dims + 1, dim, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* x_cnn and perhaps x_dino give y and the taps. */
static int run_slices(struct infer *infer, const struct tensor_view *x_cnn, struct sctd_error *err)
{
    const struct tensor_view *x_dino = safetensors_find(infer->input, "x_dino");
    float *cnn = NULL;
    float *dino = NULL;
    float *y = NULL;
    float *taps[TAPS_MAX] = {NULL};
    int r = check_slices(infer, x_cnn, err);
    if (r == 0 && x_dino != NULL) {
        r = check_slices(infer, x_dino, err);
        if (r == 0 && memcmp(x_dino->dim, x_cnn->dim, 4 * sizeof *x_cnn->dim) != 0) {
            r = sctd_error(err, SCTD_EDATA, "%.120s: x_cnn and x_dino differ in shape",
                           infer->args->input);
        }
    }
    if (r == 0) {
        infer->slices = x_cnn->dim[0];
        r = open_engine(infer, x_cnn->dim[2], x_cnn->dim[3], err);
    }
    if (r == 0) {
        r = read_values(&cnn, infer, x_cnn, err);
    }
    if (r == 0 && x_dino != NULL) {
        r = read_values(&dino, infer, x_dino, err);
    }
    if (r == 0) {
        r = add_output(&y, infer, "y", 4, x_cnn->dim, err);
    }
    if (r == 0) {
        r = add_taps(taps, infer, err);
    }
    if (r < 0) {
        return r;
    }
    const struct engine_slices slices = {.n = infer->slices,
                                         .x_cnn = cnn,
                                         .x_dino = dino == NULL ? cnn : dino,
                                         .y = y,
                                         .taps = taps};
    return engine_run(infer->engine, &slices, err);
}

/* The outputs of a volume, in the order of the recipe. */
static int add_volume_outputs(struct engine_volume_result *result, float **ret_clip,
                              struct infer *infer, const int64_t dim[3], struct sctd_error *err)
{
    int32_t height = 0;
    int32_t width = 0;
    engine_get_size(infer->engine, &height, &width);
    const int64_t pair[1] = {2};
    const int64_t slices[4] = {dim[0], 1, height, width};
    int r = add_output(ret_clip, infer, "clip", 1, pair, err);
    if (r == 0) {
        r = add_output(&result->x_cnn, infer, "x_cnn", 4, slices, err);
    }
    if (r == 0) {
        r = add_output(&result->x_dino, infer, "x_dino", 4, slices, err);
    }
    if (r == 0) {
        r = add_output(&result->y, infer, "y", 4, slices, err);
    }
    return r < 0 ? r : add_output(&result->hu, infer, "hu", 3, dim, err);
}

/* volume gives what the recipe makes of it, step by step. */
static int run_volume(struct infer *infer, const struct tensor_view *volume, struct sctd_error *err)
{
    struct engine_volume_result result = {0};
    float *values = NULL;
    float *clip = NULL;
    if (infer->args->taps.n > 0) {
        return sctd_error(err, SCTD_EINVAL,
                          "--tap is for an input of x_cnn, and %.120s holds a volume: leave it out",
                          infer->args->input);
    }
    int r = check_volume(infer, volume, err);
    if (r == 0) {
        infer->slices = volume->dim[0];
        r = open_engine(infer, 0, 0, err);
    }
    if (r == 0) {
        r = read_values(&values, infer, volume, err);
    }
    if (r == 0) {
        r = add_volume_outputs(&result, &clip, infer, volume->dim, err);
    }
    if (r == 0) {
        r = engine_run_volume(infer->engine, values, volume->dim, NULL, &result, err);
    }
    if (r == 0) {
        clip[0] = (float)result.clip[0];
        clip[1] = (float)result.clip[1];
    }
    return r;
}

static int run(struct infer *infer, struct sctd_error *err)
{
    const struct tensor_view *volume = safetensors_find(infer->input, "volume");
    const struct tensor_view *x_cnn = safetensors_find(infer->input, "x_cnn");
    const double start = sctd_now_s();
    int r = 0;
    if (volume != NULL) {
        r = run_volume(infer, volume, err);
    } else if (x_cnn != NULL) {
        r = run_slices(infer, x_cnn, err);
    } else {
        r = sctd_error(err, SCTD_EDATA,
                       "%.120s holds neither x_cnn [N,1,H,W] nor volume [D,H,W]: name one of its "
                       "tensors so",
                       infer->args->input);
    }
    if (r == 0) {
        engine_take_stats(infer->engine, &infer->stats);
        infer->run_s = sctd_now_s() - start - infer->stats.load_ms * 1e-3;
    }
    return r;
}

static int write_output(const struct infer *infer, struct sctd_error *err)
{
    const struct manifest *m = engine_get_manifest(infer->engine);
    const struct safetensors_metadata metadata[] = {
        {"model", m->name},
        {"version", m->version},
        {"weights_sha256", m->weights_sha256},
        {"backend", engine_get_backend(infer->engine)},
        {"precision", infer->args->precision},
        {"arithmetic", infer->stats.arithmetic},
    };
    return safetensors_write(infer->args->output, infer->out, infer->n_out, metadata,
                             sizeof metadata / sizeof *metadata, err);
}

static void write_facts(struct json_writer *w, const struct infer *infer)
{
    const struct manifest *m = engine_get_manifest(infer->engine);
    json_write_object_begin(w, NULL);
    json_write_string(w, "model", m->name);
    json_write_string(w, "version", m->version);
    json_write_string(w, "weights_sha256", m->weights_sha256);
    json_write_string(w, "backend", engine_get_backend(infer->engine));
    json_write_string(w, "precision", infer->args->precision);
    json_write_string(w, "arithmetic", infer->stats.arithmetic);
    json_write_int(w, "threads", infer->stats.threads);
    json_write_int(w, "slices", infer->slices);
    json_write_double(w, "load_ms", infer->stats.load_ms);
    json_write_double(w, "run_s", infer->run_s);
    json_write_string(w, "output", infer->args->output);
    json_write_array_begin(w, "tensors");
    for (size_t i = 0; i < infer->n_out; i++) {
        json_write_string(w, NULL, infer->out[i].name);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static int print_facts(const struct infer *infer, struct sctd_error *err)
{
    const struct manifest *m = engine_get_manifest(infer->engine);
    if (!infer->args->json) {
        (void)fprintf(stdout, "%s: %lld slices by %s@%s on %s (%s) in %.3f s\n",
                      infer->args->output, (long long)infer->slices, m->name, m->version,
                      engine_get_backend(infer->engine), infer->stats.arithmetic, infer->run_s);
        return 0;
    }
    struct sctd_buf buf = sctd_buf_make(FACTS_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    write_facts(&w, infer);
    int r = cmd_print_json(&w);
    sctd_buf_fini(&buf);
    return r;
}

static int check_taps(const struct option_list *taps, struct sctd_error *err)
{
    if (taps->n > TAPS_MAX) {
        return sctd_error(err, SCTD_EINVAL, "%zu taps: give at most %d", taps->n, TAPS_MAX);
    }
    for (size_t i = 1; i < taps->n; i++) {
        size_t j = 0;
        while (strcmp(taps->item[i], taps->item[j]) != 0) {
            j++;
        }
        if (j < i) {
            return sctd_error(err, SCTD_EINVAL, "--tap %.64s is given twice: give it once",
                              taps->item[i]);
        }
    }
    return 0;
}

/* What can be told to be wrong before anything is read. */
static int check_args(const struct infer_args *args, struct sctd_error *err)
{
    struct stat in;
    struct stat out;
    if (stat(args->input, &in) == 0 && stat(args->output, &out) == 0 && in.st_dev == out.st_dev &&
        in.st_ino == out.st_ino) {
        return sctd_error(err, SCTD_EINVAL, "--output %.120s is the input: give another name",
                          args->output);
    }
    return check_taps(&args->taps, err);
}

static int open_input(struct infer *infer, struct sctd_error *err)
{
    int r = safetensors_open(&infer->input, infer->args->input, err);
    if (r == SCTD_EDATA) { /* says what is wrong, but not in which file */
        const struct sctd_error cause = *err;
        return sctd_error(err, SCTD_EDATA, "%.120s: %.110s", infer->args->input, cause.text);
    }
    return r;
}

static int infer_run(const struct infer_args *args, struct sctd_error *err)
{
    struct infer infer = {.args = args};
    int r = check_args(args, err);
    if (r == 0) {
        r = open_input(&infer, err);
    }
    if (r == 0) {
        r = run(&infer, err);
    }
    if (r == 0) {
        r = write_output(&infer, err);
    }
    if (r == 0) {
        r = print_facts(&infer, err);
    }
    infer_fini(&infer);
    return r;
}

int cmd_infer(int argc, char **argv)
{
    struct infer_args args = {
        .models_dir = cmd_models_dir(), .backend = "auto", .precision = "auto"};
    const struct option table[] = {
        CMD_MODEL_OPTION(args.model),
        {.name = "input",
         .kind = OPTION_TEXT,
         .target = (void *)&args.input,
         .argument = "IN.safetensors",
         .help = "holds x_cnn [N,1,H,W] and perhaps x_dino, or volume [D,H,W]",
         .required = true},
        {.name = "output",
         .kind = OPTION_TEXT,
         .target = (void *)&args.output,
         .argument = "OUT.safetensors",
         .help = "gets y and the taps; of a volume: clip, x_cnn, x_dino, y and hu",
         .required = true},
        CMD_BACKEND_OPTION(args.backend),
        CMD_GPU_MEMORY_OPTION(args.gpu_memory_mib),
        CMD_PRECISION_OPTION(args.precision),
        CMD_THREADS_OPTION(args.threads),
        CMD_BATCH_OPTION(args.batch),
        {.name = "tap",
         .kind = OPTION_LIST,
         .target = &args.taps,
         .argument = "NAME",
         .help = "also write an inner tensor, such as gen.enc1; may be repeated"},
        CMD_MODELS_DIR_OPTION(args.models_dir),
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {
        .command = command,
        .summary = "Run a model on tensors in a safetensors file.",
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
        r = infer_run(&args, &err);
    }
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}
