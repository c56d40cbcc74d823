/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/backend/cuda/plan_cache.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/temporary.h"

static const char header[] = "device X; driver 1; cudnn 2; network 3";

static void fill(struct plan_cache *c)
{
    struct sctd_error err = {.code = SCTD_OK};
    assert(plan_cache_put(c, "conv n16 h256", PLAN_FUSED, "{\"engine\": 1}", &err) == 0);
    assert(plan_cache_put(c, "conv n16 h128", PLAN_PLAIN, "", &err) == 0);
    assert(plan_cache_put(c, "conv n16 h64", PLAN_BARE, "{}", &err) == 0);
    assert(plan_cache_put(c, "conv n16 h32", PLAN_OWN, "", &err) == 0);
    assert(plan_cache_put(c, "product n16", PLAN_PRODUCT, "2a00", &err) == 0);
}

static void check_filled(const struct plan_cache *c)
{
    const struct plan_cache_entry *e = plan_cache_find(c, "conv n16 h256");
    assert(c->n == 5 && e != NULL && e->choice == PLAN_FUSED);
    assert(strcmp(e->text, "{\"engine\": 1}") == 0 && e->size == strlen(e->text));
    e = plan_cache_find(c, "conv n16 h128");
    assert(e != NULL && e->choice == PLAN_PLAIN && e->size == 0 && e->text[0] == '\0');
    e = plan_cache_find(c, "conv n16 h64");
    assert(e != NULL && e->choice == PLAN_BARE && strcmp(e->text, "{}") == 0);
    e = plan_cache_find(c, "conv n16 h32");
    assert(e != NULL && e->choice == PLAN_OWN && e->size == 0);
    e = plan_cache_find(c, "product n16");
    assert(e != NULL && e->choice == PLAN_PRODUCT && strcmp(e->text, "2a00") == 0);
    assert(plan_cache_find(c, "conv n8 h256") == NULL);
}

static void what_is_written_is_read_again(const char *path)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache c = {.entry = NULL};
    struct plan_cache read = {.entry = NULL};
    bool found = true;
    assert(plan_cache_read(&read, path, header, &found, &err) == 0 && !found && read.n == 0);
    fill(&c);
    assert(c.changed && plan_cache_write(&c, path, header, &err) == 0);
    assert(plan_cache_read(&read, path, header, &found, &err) == 0 && found);
    assert(!read.changed);
    check_filled(&read);
    plan_cache_fini(&read);
    plan_cache_fini(&c);
}

static void another_key_replaces_its_entry(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache c = {.entry = NULL};
    fill(&c);
    assert(plan_cache_put(&c, "conv n16 h64", PLAN_FUSED, "new", &err) == 0 && c.n == 5);
    const struct plan_cache_entry *e = plan_cache_find(&c, "conv n16 h64");
    assert(e->choice == PLAN_FUSED && strcmp(e->text, "new") == 0);
    plan_cache_fini(&c);
}

static void another_device_s_file_is_no_cache(const char *path)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache read = {.entry = NULL};
    bool found = true;
    assert(plan_cache_read(&read, path, "device Y", &found, &err) == 0 && !found && read.n == 0);
    assert(strstr(err.text, "another GPU") != NULL);
}

/* Any byte changed, any length cut: no cache, and nothing else. */
static void damage_is_noticed(const char *path)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_map map = {.data = NULL};
    assert(sctd_map_open(&map, path, &err) == 0);
    unsigned char *bytes = malloc(map.size + 1);
    assert(bytes != NULL);
    for (size_t i = 0; i < map.size; i++) {
        struct plan_cache read = {.entry = NULL};
        memcpy(bytes, map.data, map.size);
        bytes[i] ^= 0x10;
        assert(plan_cache_parse(&read, bytes, map.size, header, &err) == SCTD_EDATA);
        assert(plan_cache_parse(&read, map.data, i, header, &err) == SCTD_EDATA);
        assert(read.n == 0 && read.entry == NULL);
    }
    memcpy(bytes, map.data, map.size);
    bytes[map.size] = 0;
    struct plan_cache read = {.entry = NULL};
    assert(plan_cache_parse(&read, bytes, map.size + 1, header, &err) == SCTD_EDATA);
    assert(plan_cache_parse(&read, bytes, map.size, header, &err) == 0);
    check_filled(&read);
    plan_cache_fini(&read);
    free(bytes);
    sctd_map_close(&map);
}

/* What no reader would take back is not written either. */
static void only_choices_are_kept(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache c = {.entry = NULL};
    for (int letter = 0; letter < 256; letter++) {
        const bool known = letter != 0 && strchr("fbopmc", letter) != NULL;
        // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): what must be refused
        const enum plan_choice choice = (enum plan_choice)letter;
        assert(plan_cache_put(&c, "conv", choice, "", &err) == (known ? 0 : SCTD_EINVAL));
    }
    plan_cache_fini(&c);
}

static void limits_hold(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache c = {.entry = NULL};
    char key[PLAN_CACHE_MAX_KEY + 2];
    memset(key, 'k', sizeof key);
    key[PLAN_CACHE_MAX_KEY + 1] = '\0';
    assert(plan_cache_put(&c, key, PLAN_FUSED, "", &err) == SCTD_EINVAL);
    assert(plan_cache_put(&c, "", PLAN_FUSED, "", &err) == SCTD_EINVAL);
    key[PLAN_CACHE_MAX_KEY] = '\0';
    assert(plan_cache_put(&c, key, PLAN_FUSED, "", &err) == 0);
    for (int i = 1; i < PLAN_CACHE_MAX_ENTRIES; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        assert(plan_cache_put(&c, key, PLAN_PLAIN, "", &err) == 0);
    }
    assert(plan_cache_put(&c, "one more", PLAN_PLAIN, "", &err) == SCTD_EINVAL);
    assert(plan_cache_put(&c, "1", PLAN_FUSED, "another", &err) == 0);
    assert(plan_cache_find(&c, "1")->choice == PLAN_FUSED);
    plan_cache_fini(&c);
}

int main(void)
{
    char dir[] = TEMPORARY("plan-cache");
    char path[sizeof dir + 16];
    assert(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/plans.bin", dir);
    what_is_written_is_read_again(path);
    another_key_replaces_its_entry();
    another_device_s_file_is_no_cache(path);
    damage_is_noticed(path);
    only_choices_are_kept();
    limits_hold();
    assert(unlink(path) == 0 && rmdir(dir) == 0);
    return 0;
}
