/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine against the golden files of one set: "published" are outputs of the published code,
 * "own" those of dgcf_torch.py.  Prints a line for each case, with what was measured.
 *
 * usage: golden SET FOLDER [cuda [PRECISION|all [PART]]]; exits with 77 if there is no such folder, or the backend named
 * cannot be used here.  PART: tensors, volumes, formats, batches, runs or distance.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/engine.h"

#include "tests/golden/golden_set.h"
#include "tests/support/value_hash.h"

enum { SKIPPED = 77, MAX_TAPS = 32, SLICES = 5 };

static const double y_bound = 2e-5;
static const double tap_bound = 1e-4;
static const double hu_bound = 0.05;
static const double independence_bound = 1e-5;
static const struct golden_error auto_bound = {.mean = 0.5, .high = 5.0};
/* A GPU's tf32 and fp16, which is its auto. */
static const struct golden_error gpu_bound = {.mean = 1.0, .high = 10.0};
/* Pairs keep 16 bits of the mantissa, 2^8 times more than bf16, whose bound is some 4 and 20 HU. */
static const struct golden_error bf16x3_bound = {.mean = 0.05, .high = 0.25};

struct setup {
    const char *backend;
    const char *precision;
    int32_t threads;
    int32_t batch;
};

static const struct setup built_in[] = {
    {"ref", "fp32", 0, 0},
#ifdef SCTD_ONEDNN
    {"cpu", "fp32", 0, 0}, {"cpu", "auto", 0, 0}, {"cpu", "bf16x3", 0, 0}, {"cpu", "bf16", 0, 0},
#endif
};
static const struct setup of_gpu[] = {
    {"cuda", "fp32", 0, 0}, {"cuda", "auto", 0, 0}, {"cuda", "tf32", 0, 0},
    {"cuda", "fp16", 0, 0}, {"cuda", "bf16", 0, 0},
};
static const struct setup *setups = built_in;
/* How many of them this processor has: those with bf16 products come last. */
static size_t n_setups = sizeof built_in / sizeof built_in[0];

static const struct {
    const char *set;
    const char *file;
    struct golden_error error;
} autocast[] = {
#include "tests/golden/bf16_autocast.inc"
};

static bool is_gpu(const struct setup *setup)
{
    return strcmp(setup->backend, "cuda") == 0;
}

static bool is_precision(const struct setup *setup, const char *precision)
{
    return strcmp(setup->precision, precision) == 0;
}

/* x_cnn, x_dino and y of a file: [n, 1, h, w]. */
struct slices {
    int32_t n, h, w;
    size_t size; /* values in a slice */
    float *x_cnn, *x_dino, *y;
};

static void slices_fini(struct slices *slices)
{
    free(slices->x_cnn);
    free(slices->x_dino);
    free(slices->y);
}

static void slices_init(struct slices *slices, const struct safetensors *file)
{
    const struct tensor_view *x = golden_find(file, "x_cnn");

    *slices = (struct slices){
        .n = (int32_t)x->dim[0],
        .h = (int32_t)x->dim[2],
        .w = (int32_t)x->dim[3],
        .size = (size_t)(x->dim[2] * x->dim[3]),
        .x_cnn = golden_copy(file, "x_cnn"),
        .x_dino = golden_copy(file, "x_dino"),
        .y = golden_copy(file, "y"),
    };
}

/* The inner tensors that a golden file has. */
struct taps {
    const char *name[MAX_TAPS];
    float *value[MAX_TAPS];
    size_t size[MAX_TAPS]; /* values in all slices */
    size_t n;
};

static void taps_fini(struct taps *taps)
{
    for (size_t i = 0; i < taps->n; i++) {
        free(taps->value[i]);
    }
}

static void taps_init(struct taps *taps, const struct safetensors *file)
{
    *taps = (struct taps){0};
    for (size_t i = 0; i < safetensors_get_count(file); i++) {
        const struct tensor_view *view = safetensors_get(file, i);
        if (strchr(view->name, '.') == NULL) {
            continue;
        }
        assert(taps->n < MAX_TAPS);
        taps->name[taps->n] = view->name;
        taps->size[taps->n] = tensor_view_count(view);
        taps->value[taps->n] = calloc(taps->size[taps->n], sizeof(float));
        assert(taps->value[taps->n] != NULL);
        taps->n++;
    }
}

static struct engine *open_engine(const char *dir, const struct setup *setup,
                                  const struct slices *slices, const struct taps *taps)
{
    struct sctd_error err = {0};
    struct engine *engine = NULL;
    const struct engine_options options = {
        .backend = setup->backend,
        .precision = setup->precision,
        .threads = setup->threads,
        .batch = setup->batch,
        .height = slices->h,
        .width = slices->w,
        .taps = taps != NULL ? taps->name : NULL,
        .n_taps = taps != NULL ? taps->n : 0,
    };

    golden_must(engine_open(&engine, dir, &options, &err), &err, dir);
    assert(strcmp(engine_get_backend(engine), setup->backend) == 0);
    return engine;
}

static void run_slices(struct engine *engine, const struct slices *slices, int64_t n, float *y,
                       float *const *taps)
{
    struct sctd_error err = {0};
    const struct engine_slices work = {
        .n = n, .x_cnn = slices->x_cnn, .x_dino = slices->x_dino, .y = y, .taps = taps};

    golden_must(engine_run(engine, &work, &err), &err, "run");
}

/* What a new engine makes of `slices`; the caller frees it. */
static float *run_once(const char *dir, const struct setup *setup, const struct slices *slices,
                       struct taps *taps)
{
    sctd_auto(engine_closep) struct engine *engine = open_engine(dir, setup, slices, taps);
    float *y = malloc((size_t)slices->n * slices->size * sizeof *y);

    assert(y != NULL);
    run_slices(engine, slices, slices->n, y, taps != NULL ? taps->value : NULL);
    return y;
}

/* The kind of "io-KIND-HxW.safetensors". */
static void io_kind(char *kind, size_t size, const char *file)
{
    const char *end = strrchr(file, '-');

    assert(end > file + 3);
    (void)snprintf(kind, size, "%.*s", (int)(end - file) - 3, file + 3);
}

static const char *io_model(const struct golden_set *set, const char *file)
{
    char kind[256];

    io_kind(kind, sizeof kind, file);
    return golden_set_find(set, kind);
}

/* The first file whose model is the plain one, "cnn". */
static const char *cnn_io(const struct golden_set *set)
{
    for (size_t i = 0; i < set->n_io; i++) {
        if (strcmp(io_model(set, set->io[i]), golden_set_find(set, "cnn")) == 0) {
            return set->io[i];
        }
    }
    (void)fputs("the set has no io file of kind cnn\n", stderr);
    abort();
}

static void check_io(struct golden_set *set, const char *name, const struct setup *setup)
{
    sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, name);
    sctd_auto(slices_fini) struct slices slices = {0};
    sctd_auto(taps_fini) struct taps taps = {0};
    const char *worst = "none";
    double worst_tap = 0;

    slices_init(&slices, file);
    taps_init(&taps, file);
    float *y = run_once(io_model(set, name), setup, &slices, &taps);
    const double dy = golden_max_difference(y, slices.y, (size_t)slices.n * slices.size);
    bool passed = dy <= y_bound;
    for (size_t i = 0; i < taps.n; i++) {
        float *expected = golden_copy(file, taps.name[i]);
        const double d = golden_relative_difference(taps.value[i], expected, taps.size[i]);
        passed = passed && d <= tap_bound;
        if (!(d <= worst_tap)) {
            worst_tap = d;
            worst = taps.name[i];
        }
        free(expected);
    }
    golden_set_report(set, passed, "%s %s %s: y %.1e, %zu taps, worst %.1e %s", name,
                      setup->backend, setup->precision, dy, taps.n, worst_tap, worst);
    free(y);
}

static void every_inner_tensor_and_output_is_the_reference_s_in_fp32(struct golden_set *set)
{
    for (size_t i = 0; i < set->n_io * n_setups; i++) {
        const struct setup *setup = &setups[i % n_setups];
        if (is_precision(setup, "fp32")) {
            check_io(set, set->io[i / n_setups], setup);
        }
    }
}

/* A golden volume and what the engine makes of it. */
struct volume_run {
    const struct tensor_view *volume;
    struct slices golden;
    float *golden_hu;
    size_t hu_size, size; /* values of hu; of x_cnn, x_dino and y */
    struct engine_volume_result result;
};

static void volume_run_fini(struct volume_run *run)
{
    slices_fini(&run->golden);
    free(run->golden_hu);
    free(run->result.x_cnn);
    free(run->result.x_dino);
    free(run->result.y);
    free(run->result.hu);
}

static void volume_run_init(struct volume_run *run, const struct safetensors *file)
{
    *run = (struct volume_run){.volume = golden_find(file, "volume"),
                               .golden_hu = golden_copy(file, "hu")};
    slices_init(&run->golden, file);
    run->hu_size = tensor_view_count(run->volume);
    run->size = (size_t)run->golden.n * run->golden.size;
    run->result.x_cnn = malloc(run->size * sizeof(float));
    run->result.x_dino = malloc(run->size * sizeof(float));
    run->result.y = malloc(run->size * sizeof(float));
    run->result.hu = malloc(run->hu_size * sizeof(float));
    assert(run->result.x_cnn != NULL && run->result.x_dino != NULL);
    assert(run->result.y != NULL && run->result.hu != NULL);
}

static void volume_run_make(struct volume_run *run, const struct safetensors *file, const char *dir,
                            const struct setup *setup)
{
    struct sctd_error err = {0};
    sctd_auto(engine_closep) struct engine *engine = open_engine(dir, setup, &run->golden, NULL);
    float *volume = golden_copy(file, "volume");

    golden_must(engine_run_volume(engine, volume, run->volume->dim, NULL, &run->result, &err), &err,
                "run_volume");
    free(volume);
}

static double clip_difference(const double clip[2], const struct safetensors *file)
{
    float *golden = golden_copy(file, "clip");
    double most = 0;

    for (size_t i = 0; i < 2; i++) {
        const double scale = fmax(1, fabs((double)golden[i]));
        most = fmax(most, fabs(clip[i] - (double)golden[i]) / scale);
    }
    free(golden);
    return most;
}

static void check_recipe(struct golden_set *set, const char *name, const struct setup *setup,
                         const struct safetensors *file, const struct volume_run *run)
{
    const double clip = clip_difference(run->result.clip, file);
    const double x_cnn = golden_max_difference(run->result.x_cnn, run->golden.x_cnn, run->size);
    const double x_dino = golden_max_difference(run->result.x_dino, run->golden.x_dino, run->size);
    const double hu = golden_max_difference(run->result.hu, run->golden_hu, run->hu_size);

    golden_set_report(set, clip <= 1e-6 && x_cnn <= 2e-6 && x_dino <= 2e-6 && hu <= hu_bound,
                      "%s %s %s: clip %.1e, x_cnn %.1e, x_dino %.1e, hu %.1e, bits %016llx", name,
                      setup->backend, setup->precision, clip, x_cnn, x_dino, hu,
                      (unsigned long long)value_hash(run->result.hu, run->hu_size));
}

/* auto: the project's bound; bf16: half of PyTorch's error under autocast; bf16x3: see above. */
static struct golden_error bound_of(const struct golden_set *set, const struct setup *setup,
                                    const char *file)
{
    if (is_gpu(setup) && !is_precision(setup, "bf16")) {
        return gpu_bound;
    }
    if (is_precision(setup, "auto")) {
        return auto_bound;
    }
    if (is_precision(setup, "bf16x3")) {
        return bf16x3_bound;
    }
    for (size_t i = 0; i < sizeof autocast / sizeof autocast[0]; i++) {
        if (strcmp(autocast[i].set, set->name) == 0 && strcmp(autocast[i].file, file) == 0) {
            return (struct golden_error){autocast[i].error.mean / 2, autocast[i].error.high / 2};
        }
    }
    (void)fprintf(stderr, "bf16_autocast.inc lacks %s\n", file);
    abort();
}

static void check_hu(struct golden_set *set, const char *name, const struct setup *setup,
                     const struct volume_run *run)
{
    const struct golden_error bound = bound_of(set, setup, name);
    const struct golden_error error = golden_error_of(run->result.hu, run->golden_hu, run->hu_size);

    golden_set_report(set, error.mean <= bound.mean && error.high <= bound.high,
                      "%s %s %s: hu mean %.3f (bound %.3f), 99.9%% %.2f (bound %.2f), bits %016llx",
                      name, setup->backend, setup->precision, error.mean, bound.mean, error.high,
                      bound.high, (unsigned long long)value_hash(run->result.hu, run->hu_size));
}

static void volumes_become_the_reference_s_hu(struct golden_set *set)
{
    static const char *const names[] = {"pipeline-mr", "pipeline-cbct"};

    for (size_t i = 0; i < sizeof names / sizeof names[0] * n_setups; i++) {
        const char *model = names[i / n_setups];
        const struct setup *setup = &setups[i % n_setups];
        char name[64];
        (void)snprintf(name, sizeof name, "%s.safetensors", model);
        sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, name);
        sctd_auto(volume_run_fini) struct volume_run run = {0};

        volume_run_init(&run, file);
        volume_run_make(&run, file, golden_set_find(set, model), setup);
        if (is_precision(setup, "fp32")) {
            check_recipe(set, name, setup, file, &run);
        } else {
            check_hu(set, name, setup, &run);
        }
    }
}

static void the_same_weights_in_any_format_give_the_same_bits(struct golden_set *set)
{
    static const char *const names[] = {"generator-zip", "generator-module", "generator-legacy",
                                        "backbone-pth", "backbone-hf"};
    sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, cnn_io(set));
    sctd_auto(slices_fini) struct slices slices = {0};

    slices_init(&slices, file);
    const size_t bytes = (size_t)slices.n * slices.size * sizeof(float);
    float *expected = run_once(golden_set_find(set, "cnn"), &setups[0], &slices, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        float *y = run_once(golden_set_find(set, names[i]), &setups[0], &slices, NULL);
        golden_set_report(set, memcmp(y, expected, bytes) == 0, "%s: y is %s", names[i],
                          memcmp(y, expected, bytes) == 0 ? "the same" : "different");
        free(y);
    }
    free(expected);
}

/* SLICES different slices made from those of `from`, which has at least one. */
static void repeat_slices(struct slices *slices, const struct slices *from)
{
    const size_t bytes = from->size * sizeof(float);

    *slices = (struct slices){.n = SLICES, .h = from->h, .w = from->w, .size = from->size};
    slices->x_cnn = malloc(SLICES * bytes);
    slices->x_dino = malloc(SLICES * bytes);
    assert(slices->x_cnn != NULL && slices->x_dino != NULL);
    for (size_t i = 0; i < SLICES * from->size; i++) {
        const size_t slice = i / from->size;
        const size_t source = i % ((size_t)from->n * from->size);
        const float gain = 1.0F - 0.1F * (float)slice;
        slices->x_cnn[i] = gain * from->x_cnn[source];
        slices->x_dino[i] = gain * from->x_dino[source];
    }
}

/* Run the slices one call each. */
static float *run_singly(const char *dir, const struct setup *setup, const struct slices *slices)
{
    sctd_auto(engine_closep) struct engine *engine = open_engine(dir, setup, slices, NULL);
    float *y = malloc((size_t)slices->n * slices->size * sizeof *y);

    assert(y != NULL);
    for (int32_t i = 0; i < slices->n; i++) {
        const size_t at = (size_t)i * slices->size;
        const struct slices one = {.x_cnn = slices->x_cnn + at, .x_dino = slices->x_dino + at};
        run_slices(engine, &one, 1, y + at, NULL);
    }
    return y;
}

/* A GPU's libraries choose their engines by the batch: the bound is then the precision's, 1 is 1512 HU. */
static double independence_bound_of(const struct setup *setup)
{
    if (!is_gpu(setup)) {
        return independence_bound;
    }
    if (is_precision(setup, "fp32")) {
        return tap_bound;
    }
    return is_precision(setup, "bf16") ? 0.1 : 0.02;
}

static void report_independence(struct golden_set *set, const struct setup *setup, const char *what,
                                double difference)
{
    golden_set_report(set, difference <= independence_bound_of(setup),
                      "%s %s threads %d %s: %.1e%s", setup->backend, setup->precision,
                      (int)setup->threads, what, difference,
                      difference > 0 ? "" : " (the same bits)");
}

static void check_independence(struct golden_set *set, const struct slices *slices,
                               const struct setup *setup)
{
    static const int32_t batches[] = {2, 4, SLICES};
    const char *dir = golden_set_find(set, "cnn");
    const size_t n = SLICES * slices->size;
    struct setup base = {setup->backend, setup->precision, 1, 1};
    float *expected = run_once(dir, &base, slices, NULL);

    for (int32_t threads = 1; threads <= 3; threads++) {
        base.threads = threads;
        base.batch = 1;
        float *single = run_singly(dir, &base, slices);
        report_independence(set, &base, "slice by slice",
                            golden_max_difference(single, expected, n));
        free(single);
        for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
            char what[32];
            base.batch = batches[i];
            float *y = run_once(dir, &base, slices, NULL);
            (void)snprintf(what, sizeof what, "batch %d", (int)base.batch);
            report_independence(set, &base, what, golden_max_difference(y, expected, n));
            free(y);
        }
    }
    free(expected);
}

static void results_do_not_depend_on_batch_or_threads(struct golden_set *set)
{
    sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, cnn_io(set));
    sctd_auto(slices_fini) struct slices from = {0};
    sctd_auto(slices_fini) struct slices slices = {0};

    slices_init(&from, file);
    repeat_slices(&slices, &from);
    for (size_t s = 0; s < n_setups; s++) {
        check_independence(set, &slices, &setups[s]);
    }
}

static void results_are_the_same_bits_from_run_to_run(struct golden_set *set)
{
    sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, cnn_io(set));
    sctd_auto(slices_fini) struct slices slices = {0};
    const char *dir = golden_set_find(set, "cnn");

    slices_init(&slices, file);
    const size_t size = (size_t)slices.n * slices.size;
    for (size_t s = 0; s < n_setups; s++) {
        sctd_auto(engine_closep) struct engine *engine =
            open_engine(dir, &setups[s], &slices, NULL);
        float *again = malloc(size * sizeof *again);
        assert(again != NULL);
        float *first = run_once(dir, &setups[s], &slices, NULL);
        bool same = true;
        for (int run = 0; run < 3; run++) {
            run_slices(engine, &slices, slices.n, again, NULL);
            same = same && memcmp(again, first, size * sizeof *again) == 0;
        }
        golden_set_report(set, same, "%s %s: runs are %s", setups[s].backend, setups[s].precision,
                          same ? "the same" : "different");
        free(again);
        free(first);
    }
}

/* The perceptual distance of slices 0 and 1 of a golden file, from the features that PyTorch gave. */
static double golden_distance(const struct safetensors *file, const int32_t features[MLDP_LEVELS])
{
    double sum = 0.0;
    for (int level = 0; level < MLDP_LEVELS; level++) {
        char name[64];
        (void)snprintf(name, sizeof name, "vit.feature%d", features[level]);
        const struct tensor_view *view = golden_find(file, name);
        float *value = golden_copy(file, name);
        const size_t size = tensor_view_count(view) / (size_t)view->dim[0];
        double difference = 0.0;
        for (size_t i = 0; i < size; i++) {
            difference += fabs((double)value[size + i] - (double)value[i]);
        }
        sum += difference / (double)size;
        free(value);
    }
    return sum / MLDP_LEVELS;
}

/* The same through HU: what the recipe maps to -1 ... 1 are these slices, where they lie within. */
static double distance_of_volumes(struct engine *engine, const struct slices *slices)
{
    struct sctd_error err = {0};
    const struct recipe *recipe = &engine_get_manifest(engine)->recipe;
    const double half = (recipe->hu_high - recipe->hu_low) / 2.0;
    float *hu = malloc(2 * slices->size * sizeof *hu);
    float *inside = malloc(2 * slices->size * sizeof *inside);
    assert(hu != NULL && inside != NULL);
    for (size_t i = 0; i < 2 * slices->size; i++) {
        inside[i] = fminf(fmaxf(slices->x_dino[i], -1.0F), 1.0F);
        hu[i] = (float)(((double)inside[i] + 1.0) * half + recipe->hu_low);
    }
    const int64_t dim[3] = {1, slices->h, slices->w};
    double by_hu = 0.0;
    double by_slices = 0.0;
    golden_must(mldp_find(&by_hu, engine, hu, hu + slices->size, dim, &err), &err, "mldp");
    golden_must(mldp_find_slices(&by_slices, engine, inside, inside + slices->size, 1, &err), &err,
                "mldp");
    free(hu);
    free(inside);
    assert(by_slices > 0.0);
    return fabs(by_hu - by_slices) / by_slices;
}

static void the_perceptual_distance_is_that_of_the_reference_s_features(struct golden_set *set)
{
    for (size_t i = 0; i < set->n_io; i++) {
        const char *name = set->io[i];
        struct sctd_error err = {0};
        sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, name);
        sctd_auto(slices_fini) struct slices slices = {0};
        sctd_auto(engine_closep) struct engine *engine = NULL;
        slices_init(&slices, file);
        const struct engine_options options = {
            .backend = "auto", .precision = "fp32", .height = slices.h, .width = slices.w};
        golden_must(mldp_open(&engine, io_model(set, name), &options, &err), &err, name);
        const int32_t *features = engine_get_manifest(engine)->vit.features;
        if (slices.n < 2 || safetensors_find(file, "vit.feature11") == NULL) {
            continue;
        }
        double distance = 0.0;
        golden_must(mldp_find_slices(&distance, engine, slices.x_dino, slices.x_dino + slices.size,
                                     1, &err),
                    &err, name);
        const double expected = golden_distance(file, features);
        const double off = fabs(distance - expected) / expected;
        const double by_hu = distance_of_volumes(engine, &slices);
        golden_set_report(set, off <= 1e-4 && by_hu <= 1e-4,
                          "%s: perceptual distance %.6f, off by %.1e, through HU by %.1e", name,
                          distance, off, by_hu);
    }
}

/* Processors without bf16 products refuse the precisions that are made of them, and take fp32 for auto. */
static void leave_out_what_the_processor_lacks(struct golden_set *set)
{
    while (n_setups > 0 && strncmp(setups[n_setups - 1].precision, "bf16", 4) == 0) {
        struct sctd_error err = {0};
        sctd_auto(engine_closep) struct engine *engine = NULL;
        const struct engine_options options = {.backend = setups[n_setups - 1].backend,
                                               .precision = setups[n_setups - 1].precision};
        const int r = engine_open(&engine, golden_set_find(set, "cnn"), &options, &err);
        if (r != SCTD_EINVAL || strstr(err.text, "has no bf16 products") == NULL) {
            return;
        }
        (void)printf("%s left out: %s\n", setups[n_setups - 1].precision, err.text);
        n_setups--;
    }
}

/* The GPU's setups instead; false, with the reason on stdout, where there is none. */
static bool choose_gpu(const struct golden_set *set)
{
    struct sctd_error err = {0};
    sctd_auto(engine_closep) struct engine *engine = NULL;
    const struct engine_options options = {.backend = "cuda"};
    setups = of_gpu;
    n_setups = sizeof of_gpu / sizeof of_gpu[0];
    const int r = engine_open(&engine, golden_set_find(set, "cnn"), &options, &err);
    if (r < 0) {
        (void)printf("skipped: %s\n", err.text);
    }
    /* A GPU that is there and fails is a failure, not a reason to skip. */
    assert(r == 0 || strstr(err.text, "cannot be used here") != NULL);
    return r == 0;
}

/* Those of one precision. */
static void choose_precision(const char *precision)
{
    static struct setup
        chosen[sizeof of_gpu / sizeof of_gpu[0] + sizeof built_in / sizeof built_in[0]];
    size_t n = 0;
    for (size_t i = 0; i < n_setups; i++) {
        if (is_precision(&setups[i], precision)) {
            chosen[n++] = setups[i];
        }
    }
    assert(n > 0);
    setups = chosen;
    n_setups = n;
}

/* name: NULL: all of them. */
static void run_parts(struct golden_set *set, const char *name)
{
    static const struct {
        const char *name;
        void (*run)(struct golden_set *set);
    } parts[] = {
        {"tensors", every_inner_tensor_and_output_is_the_reference_s_in_fp32},
        {"volumes", volumes_become_the_reference_s_hu},
        {"formats", the_same_weights_in_any_format_give_the_same_bits},
        {"batches", results_do_not_depend_on_batch_or_threads},
        {"runs", results_are_the_same_bits_from_run_to_run},
        {"distance", the_perceptual_distance_is_that_of_the_reference_s_features},
    };
    bool found = false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (name == NULL || strcmp(name, parts[i].name) == 0) {
            parts[i].run(set);
            found = true;
        }
    }
    assert(found);
}

int main(int argc, char **argv)
{
    static struct golden_set set;
    struct stat info;

    assert(argc >= 3 && argc <= 6 && (argc < 4 || strcmp(argv[3], "cuda") == 0));
    if (stat(argv[2], &info) != 0) {
        (void)printf("no %s\n", argv[2]);
        return SKIPPED;
    }
    golden_set_open(&set, argv[1], argv[2]);
    if (argc > 3 && !choose_gpu(&set)) {
        golden_set_close(&set);
        return SKIPPED;
    }
    if (argc > 4 && strcmp(argv[4], "all") != 0) {
        choose_precision(argv[4]);
    }
    leave_out_what_the_processor_lacks(&set);
    run_parts(&set, argc > 5 ? argv[5] : NULL);
    golden_set_close(&set);
    (void)printf("%zu failed\n", set.n_failed);
    return set.n_failed != 0;
}
