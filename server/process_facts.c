/* SPDX-License-Identifier: Apache-2.0 */
#include "server/process_facts.h"

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/parse.h"

static int64_t read_resident(void)
{
    char text[128] = "";
    int64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fgets(text, sizeof text, file) == NULL) {
        text[0] = '\0';
    }
    (void)fclose(file);
    char *second = text;
    while (*second != '\0' && *second != ' ') {
        second++;
    }
    second += *second == ' ' ? 1 : 0;
    char *end = second;
    while (*end != '\0' && *end != ' ') {
        end++;
    }
    *end = '\0';
    return sctd_parse_i64(&pages, second, 0, INT64_MAX / 65536, NULL) < 0
               ? 0
               : pages * sysconf(_SC_PAGESIZE);
}

static int64_t count_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t n = 0;
    if (dir == NULL) {
        return 0;
    }
    while (readdir(dir) != NULL) { // NOLINT(concurrency-mt-unsafe): own stream
        n++;
    }
    (void)closedir(dir);
    return n - 3; /* ".", ".." and this one */
}

void process_facts_read(struct process_facts *ret_facts)
{
    struct process_facts facts = {.resident_bytes = read_resident()};
    struct rlimit limit;
    struct timespec used;
    const double nanosecond_s = 1e-9;
    facts.open_files = count_files();
    facts.max_files = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (int64_t)limit.rlim_cur : 0;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0) {
        facts.cpu_s = (double)used.tv_sec + (double)used.tv_nsec * nanosecond_s;
    }
    *ret_facts = facts;
}
