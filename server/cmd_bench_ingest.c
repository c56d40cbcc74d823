/* SPDX-License-Identifier: Apache-2.0 */
/* sctd bench ingest: images a second that a daemon takes in from stock senders, each one durable. */
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <uv.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/work.h"
#include "server/cmd.h"
#include "server/cmd_options.h"

static const char command[] = "sctd bench ingest";

enum {
    SENDERS_MAX = 64,
    FACTS_MAX = 4096,
    MATRIX = 325,
    TEXT_SIZE = 16
}; /* 325: 212 kB an image */

struct ingest_args {
    const char *folder;
    int64_t images, senders;
    bool json;
};

struct ingest {
    const struct ingest_args *args;
    char program[SCTD_PATH_MAX], work[SCTD_PATH_MAX], config[SCTD_PATH_MAX];
    uv_loop_t loop;
    int port, running, failed; /* running, failed: processes */
    double seconds;
};

struct process {
    uv_process_t handle;
    struct ingest *ingest;
};

static void on_ended(uv_process_t *handle, int64_t status, int number)
{
    const struct process *process = (const struct process *)handle;
    process->ingest->running--;
    process->ingest->failed += status != 0 || number != 0 ? 1 : 0;
    uv_close((uv_handle_t *)handle, NULL);
}

/* Standard error goes to `log`, standard output to `out` (-1: also to the log). */
static int start(struct process *process, struct ingest *ingest, char **words, int out,
                 struct sctd_error *err)
{
    char log[SCTD_PATH_MAX];
    int r = sctd_path_join(log, ingest->work, "log", err);
    const int fd = r < 0 ? -1 : open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EIO, "%.160s: %s", log, sctd_errno_text());
    }
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = out < 0 ? fd : out},
                                    {.flags = UV_INHERIT_FD, .data.fd = fd}};
    const uv_process_options_t options = {
        .exit_cb = on_ended, .file = words[0], .args = words, .stdio_count = 3, .stdio = stdio};
    process->ingest = ingest;
    const int status = uv_spawn(&ingest->loop, &process->handle, &options);
    (void)close(fd);
    if (status < 0) {
        uv_close((uv_handle_t *)&process->handle, NULL);
        return sctd_error(err, SCTD_EIO, "%.120s: %s", words[0], uv_strerror(status));
    }
    ingest->running++;
    return 0;
}

static int wait_for_all(struct ingest *ingest, const char *what, struct sctd_error *err)
{
    (void)uv_run(&ingest->loop, UV_RUN_DEFAULT);
    return ingest->failed == 0 ? 0
                               : sctd_error(err, SCTD_EIO, "%s: %d failed: see %.160s/log", what,
                                            ingest->failed, ingest->work);
}

/* The images of sender k. */
static int name_folder(const struct ingest *ingest, int64_t k, char path[SCTD_PATH_MAX],
                       struct sctd_error *err)
{
    char name[TEXT_SIZE];
    (void)snprintf(name, sizeof name, "images%d", (int)k);
    return sctd_path_join(path, ingest->work, name, err);
}

static int make_images(struct ingest *ingest, struct process *process, struct sctd_error *err)
{
    const int64_t n = ingest->args->senders;
    char folder[SCTD_PATH_MAX];
    for (int64_t k = 0; k < n; k++) {
        char seed[TEXT_SIZE];
        char matrix[TEXT_SIZE];
        char slices[TEXT_SIZE];
        (void)snprintf(seed, sizeof seed, "%d", (int)k + 1);
        (void)snprintf(matrix, sizeof matrix, "%d", MATRIX);
        (void)snprintf(slices, sizeof slices, "%d",
                       (int)(ingest->args->images / n + (k < ingest->args->images % n ? 1 : 0)));
        int r = name_folder(ingest, k, folder, err);
        if (r < 0) {
            return r;
        }
        char *words[] = {ingest->program,
                         (char[]){"phantom"},
                         (char[]){"--seed"},
                         seed,
                         (char[]){"--matrix"},
                         matrix,
                         (char[]){"--slices"},
                         slices,
                         (char[]){"--output"},
                         folder,
                         NULL};
        r = start(process, ingest, words, -1, err);
        r = r < 0 ? r : wait_for_all(ingest, "sctd phantom", err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int find_port(struct ingest *ingest, struct sctd_error *err)
{
    uv_tcp_t tcp;
    struct sockaddr_in address;
    int size = sizeof address;
    (void)uv_tcp_init(&ingest->loop, &tcp);
    (void)uv_ip4_addr("127.0.0.1", 0, &address);
    int status = uv_tcp_bind(&tcp, (const struct sockaddr *)&address, 0);
    status = status < 0 ? status : uv_tcp_getsockname(&tcp, (struct sockaddr *)&address, &size);
    ingest->port = ntohs(address.sin_port);
    uv_close((uv_handle_t *)&tcp, NULL);
    (void)uv_run(&ingest->loop, UV_RUN_DEFAULT);
    return status == 0 ? 0 : sctd_error(err, SCTD_EIO, "a port: %s", uv_strerror(status));
}

/* A node that takes everything in and converts nothing. */
static int write_config(struct ingest *ingest, struct sctd_error *err)
{
    struct sctd_buf buf = sctd_buf_make(FACTS_MAX);
    struct json_writer w = json_writer_make(&buf, false, err);
    char state[SCTD_PATH_MAX];
    int r = sctd_path_join(state, ingest->work, "state", err);
    r = r < 0 ? r : sctd_path_join(ingest->config, ingest->work, "sctd.yaml", err);
    r = r < 0 ? r : find_port(ingest, err);
    if (r == 0) { /* JSON is YAML */
        json_write_object_begin(&w, NULL);
        json_write_string(&w, "state_dir", state);
        json_write_object_begin(&w, "listen");
        json_write_string(&w, "address", "127.0.0.1");
        json_write_int(&w, "port", ingest->port);
        json_write_int(&w, "per_peer", SENDERS_MAX);
        json_write_object_end(&w);
        json_write_array_begin(&w, "rules");
        json_write_object_begin(&w, NULL);
        json_write_string(&w, "name", "take in only");
        json_write_bool(&w, "ignore", true);
        json_write_object_end(&w);
        json_write_array_end(&w);
        json_write_object_end(&w);
        r = json_writer_finish(&w);
        r = r < 0 ? r : sctd_file_replace(ingest->config, buf.data, buf.size, err);
    }
    sctd_buf_fini(&buf);
    return r;
}

/* Returns when it says that peers may come. */
static int start_node(struct ingest *ingest, struct process *node, struct sctd_error *err)
{
    int pair[2];
    char word = 0;
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return sctd_error(err, SCTD_EIO, "a pipe: %s", sctd_errno_text());
    }
    char *words[] = {ingest->program, (char[]){"serve"},        (char[]){"--config"},
                     ingest->config,  (char[]){"--print-port"}, NULL};
    int r = start(node, ingest, words, pair[1], err);
    (void)close(pair[1]);
    if (r == 0 && read(pair[0], &word, 1) != 1) {
        r = sctd_error(err, SCTD_EIO, "the daemon did not start: see %.160s/log", ingest->work);
    }
    (void)close(pair[0]);
    return r;
}

static int send_all(struct ingest *ingest, struct process *senders, struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    char port[TEXT_SIZE];
    char program[] = "storescu";
    int r = 0;
    (void)snprintf(port, sizeof port, "%d", ingest->port);
    const double start_s = sctd_now_s();
    for (int64_t k = 0; r == 0 && k < ingest->args->senders; k++) {
        char *words[] = {program, (char[]){"-aec"}, (char[]){"SCTD"}, (char[]){"127.0.0.1"},
                         port,    (char[]){"+sd"},  folder,           NULL};
        r = name_folder(ingest, k, folder, err);
        r = r < 0 ? r : start(&senders[k], ingest, words, -1, err);
    }
    while (ingest->running > 1) { /* the daemon is the other one */
        (void)uv_run(&ingest->loop, UV_RUN_ONCE);
    }
    ingest->seconds = sctd_now_s() - start_s;
    if (r == 0 && ingest->failed > 0) {
        r = sctd_error(err, SCTD_EIO, "storescu: %d failed: see %.160s/log", ingest->failed,
                       ingest->work);
    }
    return r;
}

static int measure(struct ingest *ingest, struct process *process, struct sctd_error *err)
{
    int r = make_images(ingest, &process[0], err);
    r = r < 0 ? r : write_config(ingest, err);
    r = r < 0 ? r : start_node(ingest, &process[0], err);
    if (r == 0) {
        r = send_all(ingest, &process[1], err);
    }
    if (ingest->running > 0) {
        (void)uv_process_kill(&process[0].handle, SIGTERM);
    }
    struct sctd_error late = {.code = SCTD_OK};
    const int ended = wait_for_all(ingest, "the daemon", &late);
    if (r == 0 && ended < 0) {
        *err = late;
        r = ended;
    }
    return r;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *place)
{
    (void)st;
    (void)flag;
    (void)place;
    (void)remove(path);
    return 0;
}

static int print(const struct ingest *ingest, struct sctd_error *err)
{
    const struct ingest_args *args = ingest->args;
    const double rate = (double)args->images / ingest->seconds;
    if (!args->json) {
        (void)fprintf(
            stdout, "%.0f images/s: %lld images of %d x %d from %lld storescu in %.2f s\n", rate,
            (long long)args->images, MATRIX, MATRIX, (long long)args->senders, ingest->seconds);
        return 0;
    }
    struct sctd_buf buf = sctd_buf_make(FACTS_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_double(&w, "images_per_s", rate);
    json_write_int(&w, "images", args->images);
    json_write_int(&w, "matrix", MATRIX);
    json_write_int(&w, "senders", args->senders);
    json_write_double(&w, "seconds", ingest->seconds);
    json_write_object_end(&w);
    const int r = cmd_print_json(&w);
    sctd_buf_fini(&buf);
    return r;
}

static int run(void *arg, char **operands, struct sctd_error *err)
{
    const struct ingest_args *args = arg;
    (void)operands;
    enum { FOLDERS_AT_ONCE = 16 };
    struct ingest ingest = {.args = args};
    struct process *process = calloc((size_t)args->senders + 1, sizeof *process);
    const ssize_t n = readlink("/proc/self/exe", ingest.program, sizeof ingest.program - 1);
    struct sctd_work work = {.fd = -1};
    if (process == NULL || n <= 0 || uv_loop_init(&ingest.loop) != 0) {
        free(process);
        return sctd_error(err, SCTD_ENOMEM, "processes");
    }
    int r = sctd_work_make(&work, args->folder, "sctd-ingest", err);
    (void)snprintf(ingest.work, sizeof ingest.work, "%s", work.path);
    r = r < 0 ? r : measure(&ingest, process, err);
    r = r < 0 ? r : print(&ingest, err);
    if (r == 0) { /* else the log in it tells more */
        // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
        (void)nftw(ingest.work, remove_one, FOLDERS_AT_ONCE, FTW_DEPTH | FTW_PHYS);
        sctd_work_remove(&work);
    }
    (void)uv_loop_close(&ingest.loop);
    free(process);
    return r;
}

int cmd_bench_ingest(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): one thread
    struct ingest_args args = {.folder =
                                   temporary == NULL || *temporary == '\0' ? "/tmp" : temporary,
                               .images = 384,
                               .senders = 1};
    const struct option table[] = {
        {.name = "images",
         .kind = OPTION_NUMBER,
         .target = &args.images,
         .argument = "N",
         .min = SENDERS_MAX,
         .max = 100000,
         .help = "of 212 kB, in all; default 384"},
        {.name = "senders",
         .kind = OPTION_NUMBER,
         .target = &args.senders,
         .argument = "N",
         .min = 1,
         .max = SENDERS_MAX,
         .help = "how many DCMTK storescu at once; default 1"},
        {.name = "folder",
         .kind = OPTION_TEXT,
         .target = (void *)&args.folder,
         .argument = "DIR",
         .help = "on the disk that is to be measured; default $TMPDIR, else /tmp"},
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {
        .command = command,
        .summary =
            "Measure how many images a second a daemon takes in from DCMTK's storescu, each one\n"
            "on the disk and in the job store before it is acknowledged.",
        .option = table,
        .n = sizeof table / sizeof *table,
    };
    return cmd_run(&options, argc, argv, run, &args);
}
