/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several versions of a model its bare name means: a file ".active-NAME" beside them. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

static int path_of(char path[SCTD_PATH_MAX], const char *models_dir, const char *name,
                   struct sctd_error *err)
{
    char file[MANIFEST_NAME_MAX + sizeof ".active-"];
    (void)snprintf(file, sizeof file, ".active-%.*s", (int)MANIFEST_NAME_MAX, name);
    return sctd_path_join(path, models_dir, file, err);
}

int model_get_active(char ret_version[MANIFEST_NAME_MAX], const char *models_dir, const char *name,
                     struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    struct sctd_map map;
    int r = manifest_is_name(name) ? path_of(path, models_dir, name, err) : MODEL_NONE;
    if (r != 0) {
        return r;
    }
    if (access(path, F_OK) != 0) {
        return MODEL_NONE;
    }
    r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    char version[MANIFEST_NAME_MAX] = "";
    if (map.size < sizeof version) {
        (void)snprintf(version, sizeof version, "%.*s", (int)map.size,
                       map.data == NULL ? "" : (const char *)map.data);
    }
    sctd_map_close(&map);
    version[strcspn(version, "\n")] = '\0';
    if (!manifest_is_name(version)) {
        return sctd_error(err, SCTD_EDATA, "%.160s holds no version: write one, or remove the file",
                          path);
    }
    memcpy(ret_version, version, sizeof version);
    return 0;
}

int model_activate(const char *models_dir, const char *name, const char *version,
                   struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    char dir[SCTD_PATH_MAX];
    char spec[2 * MANIFEST_NAME_MAX];
    char text[MANIFEST_NAME_MAX + 1];
    (void)snprintf(spec, sizeof spec, "%.*s@%.*s", (int)MANIFEST_NAME_MAX - 1, name,
                   (int)MANIFEST_NAME_MAX - 1, version);
    int r = model_resolve(dir, models_dir, spec, err);
    r = r < 0 ? r : path_of(path, models_dir, name, err);
    if (r < 0) {
        return r;
    }
    const int n = snprintf(text, sizeof text, "%s\n", version);
    return sctd_file_replace(path, text, (size_t)n, err);
}
