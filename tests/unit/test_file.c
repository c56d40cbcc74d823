/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/temporary.h"

enum { ROOM = 256, TOO_LONG_S = 60 };

static char root[] = TEMPORARY("test_file");

/* The path of `name` in the test's folder, in one of a few places used in turn. */
static const char *at(const char *name)
{
    static char path[4][ROOM];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], ROOM, "%s/%s", root, name);
    return path[turn];
}

static void put(const char *path, const char *text)
{
    struct sctd_error err = {0};
    assert(sctd_file_replace(path, text, strlen(text), &err) == 0);
}

static bool holds(const char *path, const char *text)
{
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    assert(sctd_map_open(&map, path, &err) == 0);
    const bool same =
        map.size == strlen(text) && (map.size == 0 || memcmp(map.data, text, map.size) == 0);
    sctd_map_close(&map);
    assert(map.data == NULL && map.size == 0);
    return same;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* The number of entries of a folder. */
static int count_in(const char *path)
{
    struct dirent **entry = NULL;
    const int n = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        free(entry[i]);
    }
    free((void *)entry);
    return n - 2;
}

static void a_file_is_written_and_mapped(void)
{
    put(at("a"), "hello");
    assert(holds(at("a"), "hello"));
    put(at("a"), "");
    assert(holds(at("a"), ""));
    put(at("a"), "again");
    assert(holds(at("a"), "again"));
    assert(count_in(root) == 1);
}

static void what_cannot_be_mapped_is_refused_by_its_path(void)
{
    struct sctd_error err = {0};
    struct sctd_map map = {.data = NULL, .size = 7};
    assert(sctd_map_open(&map, at("missing"), &err) == SCTD_EIO);
    assert(strstr(err.text, at("missing")) != NULL);
    assert(sctd_map_open(&map, root, &err) == SCTD_EIO);
    assert(strstr(err.text, root) != NULL && strstr(err.text, "not a regular file") != NULL);
    assert(sctd_map_open(&map, "/dev/zero", &err) == SCTD_EIO);
    assert(sctd_map_open(&map, "", &err) == SCTD_EIO);
    assert(map.size == 7);
}

static void a_fifo_is_refused_without_waiting_for_a_writer(void)
{
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    assert(mkfifo(at("fifo"), 0600) == 0);
    assert(sctd_map_open(&map, at("fifo"), &err) == SCTD_EIO);
    assert(strstr(err.text, at("fifo")) != NULL);
    assert(unlink(at("fifo")) == 0);
}

static void dropped_pages_are_read_again(void)
{
    enum { SIZE = 5 * 4096 + 17 };
    struct sctd_error err = {0};
    struct sctd_map map = {0};
    static unsigned char bytes[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (unsigned char)(i % 253);
    }
    assert(sctd_file_replace(at("big"), bytes, SIZE, &err) == 0);
    assert(sctd_map_open(&map, at("big"), &err) == 0 && map.size == SIZE);
    sctd_map_drop(&map, 0, SIZE);
    sctd_map_drop(&map, 100, 50);
    sctd_map_drop(&map, SIZE, 0);
    assert(memcmp(map.data, bytes, SIZE) == 0);
    sctd_map_close(&map);
    sctd_map_close(&map);
    assert(unlink(at("big")) == 0);
}

static void an_aborted_file_leaves_the_old_one(void)
{
    struct sctd_error err = {0};
    struct sctd_file file = {.fd = -1};
    put(at("keep"), "old");
    const int before = count_in(root);
    assert(sctd_file_create(&file, at("keep"), &err) == 0);
    assert(sctd_file_write(&file, "new", 3, &err) == 0);
    assert(holds(at("keep"), "old")); /* until the commit */
    assert(count_in(root) == before + 1);
    sctd_file_abort(&file);
    assert(file.fd == -1 && count_in(root) == before);
    assert(holds(at("keep"), "old"));
    sctd_file_abort(&file);
}

static void a_committed_file_replaces_the_old_one(void)
{
    struct sctd_error err = {0};
    struct sctd_file file = {.fd = -1};
    put(at("keep"), "old");
    const int before = count_in(root);
    assert(sctd_file_create(&file, at("keep"), &err) == 0);
    assert((fcntl(file.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert(sctd_file_write(&file, "ne", 2, &err) == 0);
    assert(sctd_file_write(&file, "w", 1, &err) == 0);
    assert(sctd_file_commit(&file, &err) == 0);
    sctd_file_abort(&file);
    assert(holds(at("keep"), "new"));
    assert(count_in(root) == before);
}

static void two_writers_of_one_path_do_not_share_a_temporary(void)
{
    struct sctd_error err = {0};
    struct sctd_file one = {.fd = -1};
    struct sctd_file two = {.fd = -1};
    assert(sctd_file_create(&one, at("shared"), &err) == 0);
    assert(sctd_file_create(&two, at("shared"), &err) == 0);
    assert(sctd_file_write(&one, "one", 3, &err) == 0);
    assert(sctd_file_write(&two, "two", 3, &err) == 0);
    assert(sctd_file_commit(&two, &err) == 0 && holds(at("shared"), "two"));
    assert(sctd_file_commit(&one, &err) == 0 && holds(at("shared"), "one"));
}

static void a_commit_that_fails_leaves_no_temporary(void)
{
    struct sctd_error err = {0};
    struct sctd_file file = {.fd = -1};
    assert(mkdir(at("folder"), 0700) == 0);
    const int before = count_in(root);
    assert(sctd_file_create(&file, at("folder"), &err) == 0);
    assert(sctd_file_commit(&file, &err) == SCTD_EIO);
    assert(strstr(err.text, at("folder")) != NULL);
    assert(count_in(root) == before);
    sctd_file_abort(&file);
    assert(rmdir(at("folder")) == 0);
}

static void a_full_disk_is_told_and_the_temporary_is_gone(void)
{
    struct sctd_error err = {0};
    struct sctd_file file = {.fd = -1};
    assert(sctd_file_create(&file, at("full"), &err) == 0);
    assert(close(file.fd) == 0);
    file.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert(file.fd >= 0);
    assert(sctd_file_write(&file, "x", 1, &err) == SCTD_EIO);
    assert(strstr(err.text, "No space left") != NULL);
    sctd_file_abort(&file);
    assert(!exists(file.temporary) && !exists(at("full")));
}

static void a_file_in_no_folder_or_with_too_long_a_path_is_refused(void)
{
    static char longest[SCTD_PATH_MAX + 1];
    struct sctd_error err = {0};
    struct sctd_file file = {.fd = -1};
    memset(longest, 'a', SCTD_PATH_MAX);
    assert(sctd_file_create(&file, longest, &err) == SCTD_EINVAL);
    assert(sctd_file_replace(at("none/a"), "x", 1, &err) == SCTD_EIO);
    assert(strstr(err.text, at("none/a")) != NULL);
    assert(file.fd == -1);
}

static void folders_are_made_with_those_above(void)
{
    struct sctd_error err = {0};
    assert(sctd_dir_make(at("d/e/f"), &err) == 0);
    assert(sctd_dir_make(at("d/e/f"), &err) == 0);
    assert(sctd_dir_make(at("d//e/f/"), &err) == 0);
    put(at("d/file"), "x");
    assert(sctd_dir_make(at("d/file"), &err) == SCTD_EIO);
    assert(sctd_dir_make(at("d/file/g"), &err) == SCTD_EIO);
    assert(strstr(err.text, at("d/file")) != NULL);
    assert(sctd_dir_make("", &err) == SCTD_EIO);
    assert(sctd_dir_sync(at("d"), &err) == 0);
    assert(sctd_dir_sync(at("d/file"), &err) == SCTD_EIO);
    assert(sctd_dir_sync(at("d/none"), &err) == SCTD_EIO);
}

static void a_folder_s_entries_are_counted(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    int32_t n = -1;
    bool exists = false;
    assert(sctd_dir_make(at("d/counted"), &err) == 0);
    assert(sctd_dir_count(&n, &exists, at("d/counted"), &err) == 0 && n == 0 && exists);
    put(at("d/counted/.hidden"), "1");
    put(at("d/counted/file"), "2");
    assert(sctd_dir_count(&n, &exists, at("d/counted"), &err) == 0 && n == 2 && exists);
    assert(sctd_dir_count(&n, &exists, at("d/none"), &err) == 0 && n == 0 && !exists);
    n = 7;
    assert(sctd_dir_count(&n, &exists, at("d/counted/file"), &err) == SCTD_EIO && n == 7);
    sctd_dir_remove(at("d/counted"));
}

static void a_folder_is_installed_where_nothing_stands(void)
{
    struct sctd_error err = {0};
    assert(sctd_dir_make(at("d/new"), &err) == 0);
    put(at("d/new/a"), "new");
    assert(sctd_dir_install(at("d/new"), at("d/model"), &err) == 0);
    assert(!exists(at("d/new")) && holds(at("d/model/a"), "new"));
}

static void a_folder_is_not_installed_over_another(void)
{
    struct sctd_error err = {0};
    assert(sctd_dir_make(at("d/newer"), &err) == 0);
    put(at("d/newer/a"), "newer");
    assert(sctd_dir_install(at("d/newer"), at("d/model"), &err) == SCTD_EINVAL);
    assert(strstr(err.text, at("d/model")) != NULL);
    assert(holds(at("d/model/a"), "new") && holds(at("d/newer/a"), "newer"));
    /* nor over an empty folder or a file, which rename alone would do or tell otherwise */
    assert(sctd_dir_make(at("d/empty"), &err) == 0);
    assert(sctd_dir_install(at("d/newer"), at("d/empty"), &err) == SCTD_EINVAL);
    assert(sctd_dir_install(at("d/newer"), at("d/file"), &err) == SCTD_EINVAL);
    assert(sctd_dir_install(at("d/gone"), at("d/other"), &err) == SCTD_EIO);
    assert(sctd_dir_install(at("d/newer"), at("none/other"), &err) == SCTD_EIO);
    assert(holds(at("d/newer/a"), "newer"));
}

static void a_removed_folder_takes_its_files_but_not_what_links_point_to(void)
{
    assert(symlink(at("d/newer"), at("d/model/link")) == 0);
    assert(symlink(at("d/newer/a"), at("d/model/file_link")) == 0);
    assert(symlink(at("d/newer"), at("d/alias")) == 0);
    sctd_dir_remove(at("d/model"));
    assert(!exists(at("d/model")));
    sctd_dir_remove(at("d/alias"));
    assert(holds(at("d/newer/a"), "newer"));
    sctd_dir_remove(at("d/gone"));
    assert(unlink(at("d/alias")) == 0);
    sctd_dir_remove(at("d/newer"));
    assert(!exists(at("d/newer")));
}

static void paths_are_joined_if_they_fit(void)
{
    static char longest[SCTD_PATH_MAX];
    struct sctd_error err = {0};
    char path[SCTD_PATH_MAX] = "before";
    memset(longest, 'a', SCTD_PATH_MAX - 3);
    assert(sctd_path_join(path, "x", longest, &err) == 0);
    assert(strlen(path) == SCTD_PATH_MAX - 1);
    assert(sctd_path_join(path, "a/b", "c", &err) == 0 && strcmp(path, "a/b/c") == 0);
    assert(sctd_path_join(path, "a/", "c", &err) == 0 && strcmp(path, "a/c") == 0);
    assert(sctd_path_join(path, "/", "c", &err) == 0 && strcmp(path, "/c") == 0);
    assert(sctd_path_join(path, "", "c", &err) == 0 && strcmp(path, "c") == 0);
    assert(sctd_path_join(path, "a/b", "c", &err) == 0);
    assert(sctd_path_join(path, "xy", longest, &err) == SCTD_EINVAL);
    assert(strcmp(path, "a/b/c") == 0);
}

static void clear(void)
{
    sctd_dir_remove(at("d/e/f"));
    sctd_dir_remove(at("d/e"));
    sctd_dir_remove(at("d/empty"));
    sctd_dir_remove(at("d"));
    sctd_dir_remove(root);
    assert(!exists(root));
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    (void)alarm(TOO_LONG_S); /* so that waiting for a FIFO fails */
    a_file_is_written_and_mapped();
    what_cannot_be_mapped_is_refused_by_its_path();
    a_fifo_is_refused_without_waiting_for_a_writer();
    dropped_pages_are_read_again();
    an_aborted_file_leaves_the_old_one();
    a_committed_file_replaces_the_old_one();
    two_writers_of_one_path_do_not_share_a_temporary();
    a_commit_that_fails_leaves_no_temporary();
    a_full_disk_is_told_and_the_temporary_is_gone();
    a_file_in_no_folder_or_with_too_long_a_path_is_refused();
    folders_are_made_with_those_above();
    a_folder_s_entries_are_counted();
    a_folder_is_installed_where_nothing_stands();
    a_folder_is_not_installed_over_another();
    a_removed_folder_takes_its_files_but_not_what_links_point_to();
    paths_are_joined_if_they_fit();
    clear();
    return 0;
}
