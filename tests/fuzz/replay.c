/* SPDX-License-Identifier: Apache-2.0 */
/* Give a fuzz target every file of a corpus, in order of name, without libFuzzer. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    if (sctd_map_open(&map, path, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    /* A copy of exactly this size lets a sanitizer see a read beyond the input. */
    uint8_t *copy = malloc(map.size + (map.size == 0 ? 1 : 0));
    int r = -1;
    if (copy != NULL) {
        if (map.size > 0) {
            memcpy(copy, map.data, map.size);
        }
        (void)LLVMFuzzerTestOneInput(copy, map.size);
        r = 0;
    }
    free(copy);
    sctd_map_close(&map);
    return r;
}

int main(int argc, char **argv)
{
    struct dirent **entry = NULL;
    const int n = argc == 2 ? scandir(argv[1], &entry, NULL, alphasort) : -1;
    int failures = 0;
    int replayed = 0;
    for (int i = 0; i < n; i++) {
        char path[SCTD_PATH_MAX];
        if (entry[i]->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s", argv[1], entry[i]->d_name);
            failures += replay(path) < 0 ? 1 : 0;
            replayed++;
        }
        free(entry[i]);
    }
    free((void *)entry);
    (void)fprintf(stdout, "%d inputs replayed, %d unreadable\n", replayed, failures);
    return replayed > 0 && failures == 0 ? 0 : 1;
}
