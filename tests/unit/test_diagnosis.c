/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/diagnosis.h"
#include "server/front_door.h"

#include "tests/support/hold.h"

int main(void)
{
    struct diagnosis *d = NULL;
    struct sctd_error err = {0};
    const struct diagnosis_line *lines = NULL;
    HOLD(diagnosis_new(&d, &err) == 0 && diagnosis_list(d, &lines) == 0);

    diagnosis_rejected(d, "called-ae", "10.0.0.1", "MR1", "called AE title is not ours", 100);
    diagnosis_rejected(d, "called-ae", "10.0.0.2", "MR1", "called AE title is not ours", 200);
    diagnosis_rejected(d, "called-ae", "10.0.0.1", "MR1", "called AE title is not ours", 300);
    HOLD(diagnosis_list(d, &lines) == 2);
    HOLD(strcmp(lines[0].peer, "10.0.0.1") == 0 && lines[0].count == 2 && lines[0].last_ms == 300);
    HOLD(strcmp(lines[1].peer, "10.0.0.2") == 0 && lines[1].count == 1);
    HOLD(lines[0].mend[0] != '\0' && strstr(lines[0].title, "not ours") != NULL);

    diagnosis_rejected(d, "malformed", "10.0.0.3", "", "it speaks TLS, and this port plain DICOM",
                       400);
    HOLD(diagnosis_list(d, &lines) == 3 && strcmp(lines[0].kind, "tls_on_plain_port") == 0);
    diagnosis_no_contexts(d, "10.0.0.4", "CT1", 500);
    HOLD(diagnosis_list(d, &lines) == 4 && strcmp(lines[0].kind, "no_contexts") == 0);

    /* Every reason of the front door that is somebody's mistake has words. */
    for (int i = 0; i < FRONT_DOOR_REASONS; i++) {
        const enum front_door_reason reason = (enum front_door_reason)i;
        const size_t before = diagnosis_list(d, &lines);
        char peer[32];
        (void)snprintf(peer, sizeof peer, "peer %d", i);
        diagnosis_rejected(d, front_door_reason_name(reason), peer, "A", "why", 600);
        const size_t added = diagnosis_list(d, &lines) - before;
        const int is_nobodys_mistake = reason == FRONT_DOOR_CLOSED || reason == FRONT_DOOR_DRAINING;
        HOLD(added == (is_nobodys_mistake ? 0U : 1U));
    }

    /* The oldest make place. */
    for (int i = 0; i < 3 * DIAGNOSIS_MAX; i++) {
        char peer[32];
        (void)snprintf(peer, sizeof peer, "%d", i);
        diagnosis_no_contexts(d, peer, "X", i);
    }
    HOLD(diagnosis_list(d, &lines) == DIAGNOSIS_MAX);
    HOLD(strcmp(lines[0].peer, "191") == 0 && strcmp(lines[DIAGNOSIS_MAX - 1].peer, "128") == 0);
    diagnosis_free(d);
    return 0;
}
