/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door and the receivers with a ledger in the place of the job store: a line for each instance, synced
 * before it is acknowledged.  usage: receive_tool --sctd PROGRAM --spool DIR --ledger FILE [OPTION]...
 * Prints its port on standard output, then what happens, and "sync" at each SIGUSR1; SIGTERM drains it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "server/allow.h"
#include "server/front_door.h"
#include "server/options.h"
#include "server/receive_messages.h"
#include "server/receivers.h"
#include "server/spool.h"

enum { SLOTS = 1 << 16, LINE_SIZE = 320, STEPS = 64 };

struct entry {
    char sop_uid[DICOM_UID_SIZE]; /* "": free */
    char hex[SHA256_HEX_SIZE];
    char file[SPOOL_NAME_SIZE];
    char sop_class_uid[DICOM_UID_SIZE]; /* "": from an earlier run */
};

/* A performed procedure step. */
struct step {
    char uid[DICOM_UID_SIZE];
    enum dicom_mpps_status status;
};

struct tool {
    uv_loop_t loop;
    uv_signal_t terminate, sync;
    struct front_door *door;
    int ledger;
    bool has_failed;
    struct entry *entry; /* [SLOTS] by hash */
    int64_t grace_ms;
    struct option_list transactions; /* that we have asked for */
    struct step step[STEPS];
};

static struct entry *find(struct tool *tool, const char *sop_uid)
{
    uint32_t h = 2166136261U;
    for (const char *p = sop_uid; *p != '\0'; p++) {
        h = (h ^ (unsigned char)*p) * 16777619U;
    }
    struct entry *e = &tool->entry[h % SLOTS];
    while (e->sop_uid[0] != '\0' && strcmp(e->sop_uid, sop_uid) != 0) {
        e = e + 1 < tool->entry + SLOTS ? e + 1 : tool->entry;
    }
    return e;
}

/* A line that a crash cut short was never acknowledged. */
static void load(struct tool *tool, const char *path)
{
    char line[LINE_SIZE];
    struct entry read;
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strchr(line, '\n') != NULL &&
            sscanf(line, "%64s %64s %127s", read.sop_uid, read.hex, read.file) == 3) {
            *find(tool, read.sop_uid) = read;
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

static void put(struct tool *tool, const struct receive_keep *instance,
                struct receive_kept *ret_kept, char *line)
{
    char hex[SHA256_HEX_SIZE];
    struct entry *e = find(tool, instance->index.sop_instance_uid);
    sha256_to_hex(instance->sha256, hex);
    line[0] = '\0';
    if (e->sop_uid[0] == '\0') {
        (void)snprintf(e->sop_uid, sizeof e->sop_uid, "%s", instance->index.sop_instance_uid);
        memcpy(e->hex, hex, sizeof hex);
        memcpy(e->sop_class_uid, instance->index.sop_class_uid, sizeof e->sop_class_uid);
        memcpy(e->file, instance->file, sizeof e->file);
        (void)snprintf(line, LINE_SIZE, "%s %s %s\n", e->sop_uid, e->hex, e->file);
        ret_kept->outcome = RECEIVE_STORED;
    } else {
        ret_kept->outcome = strcmp(e->hex, hex) == 0 ? RECEIVE_SAME : RECEIVE_CONFLICT;
    }
    memcpy(ret_kept->file, e->file, sizeof ret_kept->file);
}

static int keep(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err)
{
    struct tool *tool = arg;
    char line[LINE_SIZE];
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        put(tool, instances[i].instance, &ret_kept[i], line);
        const size_t size = strlen(line);
        any = any || size > 0;
        if (size > 0 && write(tool->ledger, line, size) != (ssize_t)size) {
            return sctd_error(err, SCTD_EIO, "the ledger: %s", sctd_errno_text());
        }
    }
    if (any && fdatasync(tool->ledger) != 0) {
        return sctd_error(err, SCTD_EIO, "the ledger: %s", sctd_errno_text());
    }
    return 0;
}

static int report(void *arg, const struct receivers_report *report, enum receive_reply *ret_reply,
                  struct sctd_error *err)
{
    const struct tool *tool = arg;
    (void)err;
    *ret_reply = RECEIVE_UNKNOWN;
    for (size_t i = 0; i < tool->transactions.n; i++) {
        if (strcmp(tool->transactions.item[i], report->transaction_uid) == 0) {
            *ret_reply = RECEIVE_TAKEN;
        }
    }
    (void)printf("report %s %s", report->association.serve->calling_ae, report->transaction_uid);
    for (size_t i = 0; i < report->n_committed && i < 3; i++) {
        (void)printf(" +%s", report->committed[i]);
    }
    for (size_t i = 0; i < report->n_failed && i < 3; i++) {
        (void)printf(" -%s:%04x", report->failed[i], report->reason[i]);
    }
    (void)printf(" %zu %zu\n", report->n_committed, report->n_failed);
    return 0;
}

static int commitment(void *arg, struct receivers_commitment *asked, enum receive_reply *ret_reply,
                      struct sctd_error *err)
{
    struct tool *tool = arg;
    (void)err;
    for (size_t i = 0; i < asked->n; i++) {
        struct dicom_reference *one = &asked->instance[i];
        const struct entry *e = find(tool, one->sop_instance_uid);
        if (e->sop_uid[0] == '\0') {
            one->reason = DICOM_COMMITMENT_NO_SUCH_INSTANCE;
        } else if (strcmp(e->sop_class_uid, one->sop_class_uid) != 0) {
            one->reason = DICOM_COMMITMENT_CLASS_CONFLICT;
        }
    }
    (void)printf("commitment %s %zu\n", asked->transaction_uid, asked->n);
    *ret_reply = RECEIVE_TAKEN;
    return 0;
}

static int reported(void *arg, const struct receivers_association *a, const char *transaction_uid,
                    struct sctd_error *err)
{
    (void)arg;
    (void)err;
    (void)printf("reported %s %s\n", a->serve->calling_ae, transaction_uid);
    return 0;
}

static void unreported(void *arg, const struct receivers_commitment *due)
{
    size_t kept = 0;
    (void)arg;
    for (size_t i = 0; i < due->n; i++) {
        kept += due->instance[i].reason == DICOM_COMMITMENT_KEPT ? 1 : 0;
    }
    (void)printf("unreported %s %s %zu of %zu\n", due->association.serve->calling_ae,
                 due->transaction_uid, kept, due->n);
}

static enum receive_reply change(struct step *step, const struct receivers_performed *performed)
{
    if (performed->is_new != (step->uid[0] == '\0')) {
        return performed->is_new ? RECEIVE_DUPLICATE : RECEIVE_UNKNOWN;
    }
    if (!performed->is_new && step->status != DICOM_MPPS_IN_PROGRESS) {
        return RECEIVE_FINAL;
    }
    (void)snprintf(step->uid, sizeof step->uid, "%s", performed->sop_instance_uid);
    step->status = performed->status != DICOM_MPPS_UNSAID ? performed->status : step->status;
    return RECEIVE_TAKEN;
}

static int performed(void *arg, const struct receivers_performed *performed,
                     enum receive_reply *ret_reply, struct sctd_error *err)
{
    static const char *const names[] = {"unsaid", "in-progress", "completed", "discontinued"};
    struct tool *tool = arg;
    size_t k = 0;
    (void)err;
    while (k < STEPS && tool->step[k].uid[0] != '\0' &&
           strcmp(tool->step[k].uid, performed->sop_instance_uid) != 0) {
        k++;
    }
    *ret_reply = k < STEPS ? change(&tool->step[k], performed) : RECEIVE_NO_ROOM;
    (void)printf("performed %s %s %s", performed->is_new ? "new" : "set",
                 performed->sop_instance_uid, names[performed->status]);
    for (size_t i = 0; i < performed->n && i < 4; i++) {
        const struct receivers_performed_series *s = &performed->series[i];
        (void)printf(" %s:%zu:%s", s->series_uid, s->n, s->sop_uids[s->n - 1]);
    }
    (void)printf(" %zu\n", performed->n);
    return 0;
}

static void opened(void *arg, const struct receivers_association *a)
{
    (void)arg;
    (void)printf("opened %lld %s %s\n", (long long)a->id, a->serve->peer, a->serve->calling_ae);
}

static void ended(void *arg, const struct receivers_association *a, const struct receive_end *end,
                  int status)
{
    (void)arg;
    if (end == NULL) {
        (void)printf("ended %lld died %d\n", (long long)a->id, status);
        return;
    }
    (void)printf("ended %lld %s stored %lld refused %lld", (long long)a->id,
                 dicom_receiver_end_name((enum dicom_receiver_end)end->end), (long long)end->stored,
                 (long long)end->refused);
    (void)(end->told > 0 ? printf(" told %lld\n", (long long)end->told) : printf("\n"));
}

static void rejected(void *arg, enum front_door_reason reason, const char *peer,
                     const char *calling_ae, const char *text)
{
    (void)arg;
    (void)printf("rejected %s %s \"%s\" %s\n", front_door_reason_name(reason), peer, calling_ae,
                 text);
}

static void drained(void *arg)
{
    struct tool *tool = arg;
    sigset_t ends; /* a second SIGTERM finds no handler any more */
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    front_door_free(tool->door);
    uv_close((uv_handle_t *)&tool->terminate, NULL);
}

/* What was acknowledged stands; what was not may be anything: end now. */
static void failed(void *arg, const char *reason)
{
    struct tool *tool = arg;
    (void)printf("failed %s\n", reason);
    tool->has_failed = true;
    front_door_drain(tool->door, 0);
}

static void on_terminate(uv_signal_t *handle, int number)
{
    struct tool *tool = handle->data;
    (void)number;
    front_door_drain(tool->door, (int)tool->grace_ms);
}

/* Whoever reads this line has read all before it. */
static void on_sync(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    (void)puts("sync");
}

struct words {
    const char *ledger;
    struct option_list allow, called;
    int64_t port, max_associations, max_of_peer, request_ms, idle_ms, window_ms, window_bytes;
    int64_t reserve_mib, series_mib, max_instance_mib, spares;
    struct front_door_options door;
    const char *spool;
};

static int parse(struct words *w, struct tool *tool, int argc, char **argv, struct sctd_error *err)
{
    const int64_t most = INT32_MAX;
    const struct option table[] = {
        {.name = "sctd", .kind = OPTION_TEXT, .target = (void *)&w->door.program, .required = true},
        {.name = "spool", .kind = OPTION_TEXT, .target = (void *)&w->spool, .required = true},
        {.name = "ledger", .kind = OPTION_TEXT, .target = (void *)&w->ledger, .required = true},
        {.name = "transaction", .kind = OPTION_LIST, .target = &tool->transactions},
        {.name = "address", .kind = OPTION_TEXT, .target = (void *)&w->door.address},
        {.name = "allow", .kind = OPTION_LIST, .target = &w->allow},
        {.name = "ae-title", .kind = OPTION_LIST, .target = &w->called},
        {.name = "port", .kind = OPTION_NUMBER, .target = &w->port, .max = 65535},
        {.name = "max", .kind = OPTION_NUMBER, .target = &w->max_associations, .max = most},
        {.name = "max-peer", .kind = OPTION_NUMBER, .target = &w->max_of_peer, .max = most},
        {.name = "request-ms", .kind = OPTION_NUMBER, .target = &w->request_ms, .max = most},
        {.name = "idle-ms", .kind = OPTION_NUMBER, .target = &w->idle_ms, .max = most},
        {.name = "window-ms", .kind = OPTION_NUMBER, .target = &w->window_ms, .max = most},
        {.name = "window-bytes", .kind = OPTION_NUMBER, .target = &w->window_bytes, .max = most},
        {.name = "reserve-mib", .kind = OPTION_NUMBER, .target = &w->reserve_mib, .max = most},
        {.name = "series-mib", .kind = OPTION_NUMBER, .target = &w->series_mib, .max = most},
        {.name = "instance-mib",
         .kind = OPTION_NUMBER,
         .target = &w->max_instance_mib,
         .max = most},
        {.name = "spares", .kind = OPTION_NUMBER, .target = &w->spares, .max = 64},
        {.name = "grace-ms", .kind = OPTION_NUMBER, .target = &tool->grace_ms, .max = most},
        {.name = "all-syntaxes", .kind = OPTION_FLAG, .target = &w->door.serve.all_syntaxes},
    };
    const struct options options = {.command = "receive_tool",
                                    .summary = "",
                                    .option = table,
                                    .n = sizeof table / sizeof *table};
    char **operands = NULL;
    return options_parse(&options, argc, argv, &operands, err);
}

static int open_door(struct tool *tool, struct words *w, struct sctd_error *err)
{
    static struct allow_rule rules[OPTIONS_LIST_MAX];
    struct front_door_options *o = &w->door;
    for (size_t i = 0; i < w->allow.n; i++) {
        int r = allow_parse(&rules[i], w->allow.item[i], err);
        if (r < 0) {
            return r;
        }
    }
    o->allow = rules;
    o->n_allow = w->allow.n;
    o->called_ae = w->called.item;
    o->n_called_ae = w->called.n;
    o->port = (int)w->port;
    o->max_associations = (int)w->max_associations;
    o->max_of_peer = (int)w->max_of_peer;
    o->request_ms = (int)w->request_ms;
    o->room_for_series = w->series_mib << 20;
    o->spares = (int)w->spares;
    o->serve.reserve_bytes = w->reserve_mib << 20;
    o->serve.max_instance_bytes = w->max_instance_mib << 20;
    o->serve.idle_ms = (int32_t)w->idle_ms;
    o->serve.window_ms = (int32_t)w->window_ms;
    o->serve.min_window_bytes = w->window_bytes;
    (void)snprintf(o->serve.spool, sizeof o->serve.spool, "%s", w->spool);
    const struct front_door_hooks hooks = {.receivers = {.arg = tool,
                                                         .keep = keep,
                                                         .report = report,
                                                         .commitment = commitment,
                                                         .performed = performed,
                                                         .reported = reported,
                                                         .unreported = unreported,
                                                         .opened = opened,
                                                         .ended = ended,
                                                         .failed = failed,
                                                         .drained = drained},
                                           .rejected = rejected};
    return front_door_open(&tool->door, &tool->loop, o, &hooks, err);
}

static int clean_spool(const char *path, struct sctd_error *err)
{
    const struct spool_reserve none = {0, 0};
    struct spool spool;
    int n = 0;
    int r = spool_open(&spool, path, &none, err);
    if (r == 0) {
        r = spool_clean(&spool, &n, err);
        spool_close(&spool);
    }
    return r;
}

int main(int argc, char **argv)
{
    static struct tool tool = {.grace_ms = 2000};
    static struct words words = {.max_associations = 64,
                                 .max_of_peer = 8,
                                 .request_ms = 10000,
                                 .idle_ms = 60000,
                                 .window_ms = 30000,
                                 .window_bytes = 30000,
                                 .reserve_mib = 1,
                                 .max_instance_mib = 2048,
                                 .spares = 1};
    struct sctd_error err = {.code = SCTD_OK};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    tool.entry = calloc(SLOTS, sizeof *tool.entry);
    int r = parse(&words, &tool, argc, argv, &err);
    if (r == 0) {
        r = clean_spool(words.spool, &err);
    }
    if (r == 0) {
        tool.ledger = open(words.ledger, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        load(&tool, words.ledger);
        (void)uv_loop_init(&tool.loop);
        r = open_door(&tool, &words, &err);
    }
    if (r < 0) {
        (void)fprintf(stderr, "receive_tool: %s\n", err.text);
        return 1;
    }
    (void)uv_signal_init(&tool.loop, &tool.terminate);
    tool.terminate.data = &tool;
    (void)uv_signal_start(&tool.terminate, on_terminate, SIGTERM);
    (void)uv_signal_init(&tool.loop, &tool.sync);
    (void)uv_signal_start(&tool.sync, on_sync, SIGUSR1);
    uv_unref((uv_handle_t *)&tool.sync); /* open to the end: the signal must never kill */
    (void)printf("port %d\n", front_door_get_port(tool.door));
    (void)uv_run(&tool.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&tool.loop);
    (void)close(tool.ledger);
    free(tool.entry);
    return tool.has_failed ? 3 : 0;
}
