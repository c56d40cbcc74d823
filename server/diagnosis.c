/* SPDX-License-Identifier: Apache-2.0 */
#include "server/diagnosis.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

struct diagnosis {
    struct diagnosis_line line[DIAGNOSIS_MAX]; /* the latest first */
    size_t n;
};

const char *diagnosis_severity_name(enum diagnosis_severity severity)
{
    static const char *const names[] = {"info", "warning", "error"};
    return names[severity];
}

int diagnosis_new(struct diagnosis **ret_diagnosis, struct sctd_error *err)
{
    *ret_diagnosis = calloc(1, sizeof **ret_diagnosis);
    return *ret_diagnosis == NULL ? sctd_error(err, SCTD_ENOMEM, "diagnosis") : 0;
}

void diagnosis_free(struct diagnosis *diagnosis)
{
    free(diagnosis);
}

void diagnosis_note(struct diagnosis *diagnosis, const struct diagnosis_line *line, int64_t wall_ms)
{
    struct diagnosis_line *lines = diagnosis->line;
    size_t at = 0;
    int64_t count = 1;
    while (at < diagnosis->n &&
           (strcmp(lines[at].kind, line->kind) != 0 || strcmp(lines[at].peer, line->peer) != 0 ||
            strcmp(lines[at].ae_title, line->ae_title) != 0)) {
        at++;
    }
    if (at < diagnosis->n) {
        count = lines[at].count + 1;
    } else if (diagnosis->n < DIAGNOSIS_MAX) {
        diagnosis->n++;
    } else {
        at--;
    }
    memmove(&lines[1], &lines[0], at * sizeof *lines);
    lines[0] = *line;
    lines[0].count = count;
    lines[0].last_ms = wall_ms;
}

/* The classic first-day failures, by the front door's reasons. */
static const struct {
    const char *reason, *kind, *title, *mend;
    enum diagnosis_severity severity;
} rejections[] = {
    {"called-ae", "called_ae", "A peer calls us by a name that is not ours",
     "Set the called AE title on the sending device to the ae_title of this node, exactly, also in "
     "upper and lower case; or change ae_title in the configuration",
     DIAGNOSIS_WARNING},
    {"calling-ae", "calling_ae", "A peer that is not in the configuration was turned away",
     "If it may send: add its AE title and address to peers in the configuration and reload "
     "(SIGHUP). Both have to match",
     DIAGNOSIS_WARNING},
    {"malformed", "malformed", "Something that is no DICOM association was turned away",
     "Look at what stands at this address: a port scan, a browser, or another protocol on this "
     "port",
     DIAGNOSIS_INFO},
    {"timeout", "timeout", "A peer connected and did not say what it wants",
     "A firewall between that inspects or delays, a load balancer's health check (point it at "
     "/healthz instead), or a device that hangs",
     DIAGNOSIS_INFO},
    {"limit", "limit", "More associations than are allowed at once",
     "Peers try again by themselves. If it goes on, raise listen.associations", DIAGNOSIS_WARNING},
    {"limit-peer", "limit_peer", "A peer has more associations open than one may",
     "It tries again by itself. If it goes on, lower the number of parallel transfers on the "
     "device, or raise listen.per_peer",
     DIAGNOSIS_WARNING},
    {"no-room", "no_room", "Nothing is accepted: the disk is too full",
     "Free space on the disk of state_dir, shorten retention, or lower "
     "retention.min_free_percent; it goes on by itself",
     DIAGNOSIS_ERROR},
    {"crowded-out", "crowded_out", "So many connections knock that some were dropped",
     "Look for the address that opens them: a port scan, or a device that loops",
     DIAGNOSIS_WARNING},
    {"no-process", "no_process", "No process could be started for an association",
     "The machine is out of memory or processes: look at the journal and at limits of the unit",
     DIAGNOSIS_ERROR},
};

static const char tls_text[] = "TLS";

void diagnosis_rejected(struct diagnosis *diagnosis, const char *reason, const char *peer,
                        const char *calling_ae, const char *text, int64_t wall_ms)
{
    struct diagnosis_line line = {.severity = DIAGNOSIS_INFO};
    (void)snprintf(line.peer, sizeof line.peer, "%s", peer);
    (void)snprintf(line.ae_title, sizeof line.ae_title, "%s", calling_ae);
    if (strstr(text, tls_text) != NULL) {
        (void)snprintf(line.kind, sizeof line.kind, "tls_on_plain_port");
        (void)snprintf(line.title, sizeof line.title,
                       "A peer speaks TLS on a port that speaks plain DICOM");
        (void)snprintf(line.mend, sizeof line.mend,
                       "Switch TLS off on the sending device for this node, or put a TLS proxy in "
                       "front of this port");
        line.severity = DIAGNOSIS_WARNING;
        diagnosis_note(diagnosis, &line, wall_ms);
        return;
    }
    for (size_t i = 0; i < sizeof rejections / sizeof *rejections; i++) {
        if (strcmp(rejections[i].reason, reason) == 0) {
            (void)snprintf(line.kind, sizeof line.kind, "%s", rejections[i].kind);
            (void)snprintf(line.title, sizeof line.title, "%s (%.80s)", rejections[i].title, text);
            (void)snprintf(line.mend, sizeof line.mend, "%s", rejections[i].mend);
            line.severity = rejections[i].severity;
            diagnosis_note(diagnosis, &line, wall_ms);
            return;
        }
    }
}

void diagnosis_no_contexts(struct diagnosis *diagnosis, const char *peer, const char *calling_ae,
                           int64_t wall_ms)
{
    struct diagnosis_line line = {.severity = DIAGNOSIS_WARNING};
    (void)snprintf(line.kind, sizeof line.kind, "no_contexts");
    (void)snprintf(line.peer, sizeof line.peer, "%s", peer);
    (void)snprintf(line.ae_title, sizeof line.ae_title, "%s", calling_ae);
    (void)snprintf(line.title, sizeof line.title,
                   "A peer proposed no kind of object and transfer syntax that is taken here");
    (void)snprintf(
        line.mend, sizeof line.mend,
        "Set the sending device to uncompressed transfer (Explicit VR Little Endian), or "
        "set compressed: true for this peer; MR, CT and Enhanced MR and CT images are "
        "taken (docs/conformance.md)");
    diagnosis_note(diagnosis, &line, wall_ms);
}

size_t diagnosis_list(struct diagnosis *diagnosis, const struct diagnosis_line **ret_lines)
{
    *ret_lines = diagnosis->line;
    return diagnosis->n;
}
