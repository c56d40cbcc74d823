/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/allow.h"
#include "server/config.h"
#include "server/reload.h"
#include "server/report_address.h"

static const char text[] = "peers:\n"
                           "  - {ae_title: CT1}\n"
                           "  - {ae_title: 'MR*', address: 10.1.0.0/16, report_port: 104}\n"
                           "  - {ae_title: MR2, report_host: console.example, report_port: 4006}\n"
                           "  - {ae_title: V6, address: 'fd00::/8', report_port: 105}\n"
                           "destinations:\n"
                           "  - {name: pacs, ae_title: PACS, host: pacs.example, port: 4242}\n"
                           "  - {name: both, ae_title: MR9, host: mr9.example, port: 4243}\n";

static const struct {
    const char *ae, *peer, *host; /* NULL: none */
    int32_t port;
} cases[] = {
    {"MR1", "10.1.2.3", "10.1.2.3", 104}, /* where it asked from */
    {"MR2", "10.1.2.3", "10.1.2.3", 104}, /* the first that fits */
    {"MR2", "10.2.2.3", "console.example", 4006},
    {"MR1", "10.2.2.3", NULL, 0}, /* another network */
    {"CT1", "10.1.2.3", NULL, 0}, /* it may send, and has no port */
    {"PACS", "10.9.9.9", "pacs.example", 4242},
    {"MR9", "10.1.0.9", "10.1.0.9", 104}, /* a peer before a destination */
    {"MR9", "10.3.0.9", "mr9.example", 4243},
    {"V6", "fd00::7", "fd00::7", 105},
    {"V6", "fe80::7", NULL, 0},
    {"mr1", "10.1.2.3", NULL, 0},
    {"MR1", "unknown", NULL, 0}, /* no address fits no network */
    {"MR2", "unknown", "console.example", 4006},
};

static void each_modality_has_its_place(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct config *config = NULL;
    struct allow_rule *allow = NULL;
    assert(config_parse(&config, "test.yaml", text, sizeof text - 1, &err) == 0);
    assert(reload_make_allow(&allow, config, &err) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct report_address address = {.host = "", .port = -1};
        const int r = report_address_find(&address, config, allow, cases[i].ae, cases[i].peer);
        assert(r == (cases[i].host == NULL ? REPORT_ADDRESS_NONE : 0));
        assert(r != 0 ||
               (strcmp(address.host, cases[i].host) == 0 && address.port == cases[i].port));
    }
    free(allow);
    config_free(config);
}

static void a_host_without_a_port_is_refused(void)
{
    static const char bad[] = "peers:\n  - {ae_title: MR1, report_host: console.example}\n";
    struct sctd_error err = {.code = SCTD_OK};
    struct config *config = NULL;
    assert(config_parse(&config, "test.yaml", bad, sizeof bad - 1, &err) == SCTD_EDATA);
    assert(strstr(err.text, "report_port") != NULL);
}

int main(void)
{
    each_modality_has_its_place();
    a_host_without_a_port_is_refused();
    return 0;
}
