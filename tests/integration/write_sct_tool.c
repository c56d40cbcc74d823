/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an sCT, and the page about its checks, as a JSON file describes them, so that tests in Python reach the
 * writers alone.
 * usage: write_sct_tool REQUEST.json VOXELS.f32 FOLDER; status 1 and "CODE: text" after an error. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dicom/quality_page.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/volume.h"

enum { MAX_SLICES = 4096 };

static struct sctd_error err;
static struct json *json;
static const struct json_node *root;

static const struct json_node *get(const char *key)
{
    return json_find(json, root, key);
}

static const char *get_text(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_find(json, object, key);
    return node == NULL || node->type != JSON_STRING ? NULL : node->string;
}

static int32_t get_int(const char *key)
{
    const struct json_node *node = get(key);
    return node == NULL ? 0 : (int32_t)node->integer;
}

static void get_numbers(double *ret, const char *key)
{
    for (const struct json_node *n = json_first(json, get(key)); n != NULL;
         n = json_next(json, n)) {
        *ret++ = n->number;
    }
}

static void copy_uid(char ret_uid[DICOM_UID_SIZE], const char *uid)
{
    (void)snprintf(ret_uid, DICOM_UID_SIZE, "%s", uid);
}

static size_t get_sources(struct dicom_source *ret)
{
    size_t n = 0;
    for (const struct json_node *s = json_first(json, get("sources")); s != NULL;
         s = json_next(json, s)) {
        assert(n < MAX_SLICES);
        ret[n].path = get_text(s, "path");
        ret[n].frame = (int32_t)json_find(json, s, "frame")->integer;
        copy_uid(ret[n].sop_class_uid, get_text(s, "sop_class_uid"));
        copy_uid(ret[n].sop_instance_uid, get_text(s, "sop_instance_uid"));
        n++;
    }
    return n;
}

static struct volume *get_volume(const char *path)
{
    struct volume_grid grid = {0};
    double dim[3] = {0};
    get_numbers(dim, "dim");
    get_numbers(grid.step, "step");
    get_numbers(grid.origin, "origin");
    get_numbers(&grid.axis[0][0], "axis");
    for (int i = 0; i < 3; i++) {
        grid.dim[i] = (int32_t)dim[i];
    }
    struct volume *v = NULL;
    struct sctd_map map;
    assert(volume_new(&v, &grid, &err) == 0);
    assert(sctd_map_open(&map, path, &err) == 0);
    const size_t n = (size_t)grid.dim[0] * (size_t)grid.dim[1] * (size_t)grid.dim[2];
    assert(map.size == n * sizeof(float));
    memcpy(v->voxel, map.data, map.size);
    sctd_map_close(&map);
    return v;
}

static double get_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The page of the sCT that `request` made, if one is asked for. */
static int write_page(const struct sct_request *request)
{
    const struct json_node *p = get("page");
    if (p == NULL) {
        return 0;
    }
    struct sctd_map map;
    char uid[2][DICOM_UID_SIZE];
    struct quality_page_request page = {
        .width = (int32_t)json_find(json, p, "width")->integer,
        .height = (int32_t)json_find(json, p, "height")->integer,
        .source = request->source,
        .n_sources = request->n_sources,
        .model = request->model,
        .options = request->options,
        .quality = request->quality,
        .date_time = request->date_time,
        .sct_series_uid = request->series_uid,
        .sct_instance_uid = request->instance_uid,
        .n_sct_instances = request->options->enhanced ? 1 : (size_t)request->hu->grid.dim[2],
        .series_uid = uid[0],
        .instance_uid = uid[1]};
    assert(dicom_uid_for_page(uid[0], uid[1], request->series_uid, &err) == 0);
    assert(sctd_map_open(&map, get_text(p, "pixels"), &err) == 0);
    assert(page.width < 1 || map.size == (size_t)page.width * (size_t)page.height);
    page.pixel = map.data;
    const int r = quality_page_write(&page, get_text(p, "folder"), &err);
    sctd_map_close(&map);
    return r;
}

static void count(void *arg, int32_t n_written, int32_t n_instances)
{
    int32_t *last = arg;
    assert(n_written == *last + 1 && n_written <= n_instances);
    *last = n_written;
}

int main(int argc, char **argv)
{
    static struct dicom_source source[MAX_SLICES];
    static char instance_uid[MAX_SLICES][DICOM_UID_SIZE];
    static int32_t nearest[MAX_SLICES];
    struct sctd_map map;
    assert(argc == 4);
    assert(sctd_map_open(&map, argv[1], &err) == 0);
    assert(json_parse(&json, map.data, map.size, &err) == 0);
    sctd_map_close(&map);
    root = json_get_root(json);

    size_t n = 0;
    for (const struct json_node *u = json_first(json, get("instance_uids")); u != NULL;
         u = json_next(json, u)) {
        copy_uid(instance_uid[n++], u->string);
    }
    n = 0;
    for (const struct json_node *u = get("nearest") == NULL ? NULL
                                                            : json_first(json, get("nearest"));
         u != NULL; u = json_next(json, u)) {
        nearest[n++] = (int32_t)u->integer;
    }
    struct volume *hu = get_volume(argv[2]);
    const struct json_node *m = get("model");
    const struct sct_model model = {.name = get_text(m, "name"),
                                    .version = get_text(m, "version"),
                                    .sha256 = get_text(m, "sha256"),
                                    .research_only =
                                        json_find(json, m, "research_only")->integer != 0,
                                    .software = get_text(m, "software")};
    const struct sct_options options = {.series_description = get_text(root, "series_description"),
                                        .series_number_offset = get_int("series_number_offset"),
                                        .rescale_intercept = get_int("rescale_intercept"),
                                        .enhanced = get_int("enhanced") != 0};
    const struct json_node *q = get("quality");
    const struct sct_quality quality = {
        .needs_review = q != NULL && json_find(json, q, "needs_review")->integer != 0,
        .text = q == NULL ? NULL : get_text(q, "text")};
    const struct sct_request request = {.hu = hu,
                                        .source = source,
                                        .n_sources = get_sources(source),
                                        .nearest = n == 0 ? NULL : nearest,
                                        .series_uid = get_text(root, "series_uid"),
                                        .instance_uid = (const char(*)[DICOM_UID_SIZE])instance_uid,
                                        .model = &model,
                                        .options = &options,
                                        .quality = q == NULL ? NULL : &quality,
                                        .date_time = get_text(root, "date_time")};
    int32_t written = 0;
    const double before = get_now();
    int r = sct_write_series(&request, argv[3], count, &written, &err);
    r = r < 0 ? r : write_page(&request);
    if (r < 0) {
        (void)fprintf(stderr, "%s: %s\n", sctd_code_name(err.code), err.text);
    } else {
        (void)printf("%d instances in %.3f s\n", (int)written, get_now() - before);
    }
    volume_free(hu);
    json_free(json);
    return r < 0 ? 1 : 0;
}
