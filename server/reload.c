/* SPDX-License-Identifier: Apache-2.0 */
#include "server/reload.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/allow.h"
#include "server/config.h"
#include "server/config_http.h"

int reload_make_allow(struct allow_rule **ret_allow, const struct config *config,
                      struct sctd_error *err)
{
    struct allow_rule *allow = calloc(config->peers_count + 1, sizeof *allow);
    if (allow == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "peers");
    }
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < config->peers_count; i++) {
        const struct config_peer *peer = &config->peers[i];
        char text[128];
        (void)snprintf(text, sizeof text, "%s@%s", peer->ae_title == NULL ? "*" : peer->ae_title,
                       peer->address == NULL ? "*" : peer->address);
        r = allow_parse(&allow[i], text, err);
        allow[i].compressed = peer->compressed;
    }
    if (r < 0) {
        free(allow);
        return r;
    }
    *ret_allow = allow;
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* Tokens and the certificate may change, where it listens may not. */
static bool same_http(const struct config_http *old, const struct config_http *new_one)
{
    if (old == NULL || new_one == NULL) {
        return old == new_one;
    }
    return same_text(old->address, new_one->address) &&
           config_http_port(old) == config_http_port(new_one) &&
           (old->certificate == NULL) == (new_one->certificate == NULL) &&
           old->connections == new_one->connections &&
           old->requests_per_second == new_one->requests_per_second;
}

static bool same_backends(const struct config_workers *old, const struct config_workers *new_one)
{
    bool same = old->backends_count == new_one->backends_count;
    for (uint32_t i = 0; same && i < old->backends_count; i++) {
        same = strcmp(old->backends[i], new_one->backends[i]) == 0;
    }
    return same;
}

bool reload_is_whole(const struct config *old, const struct config *new_one)
{
    return same_text(old->ae_title, new_one->ae_title) &&
           same_text(old->state_dir, new_one->state_dir) &&
           same_text(old->models_dir, new_one->models_dir) &&
           same_text(old->listen.address, new_one->listen.address) &&
           config_listen_port(&old->listen) == config_listen_port(&new_one->listen) &&
           same_http(old->http, new_one->http) &&
           old->listen.associations == new_one->listen.associations &&
           old->listen.per_peer == new_one->listen.per_peer &&
           old->workers.slots == new_one->workers.slots &&
           old->workers.threads == new_one->workers.threads &&
           old->workers.batch == new_one->workers.batch &&
           old->workers.timeout_s == new_one->workers.timeout_s &&
           old->workers.silence_s == new_one->workers.silence_s &&
           old->workers.load_s == new_one->workers.load_s &&
           old->workers.memory_mib == new_one->workers.memory_mib &&
           old->workers.gpu_memory_mib == new_one->workers.gpu_memory_mib &&
           same_backends(&old->workers, &new_one->workers);
}
