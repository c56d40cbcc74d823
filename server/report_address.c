/* SPDX-License-Identifier: Apache-2.0 */
#include "server/report_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "server/allow.h"
#include "server/config.h"

/* An address that is none fits only peers without one. */
static void parse(struct sockaddr_storage *address, const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    *address = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(address, &in, sizeof in);
    } else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        memcpy(address, &in6, sizeof in6);
    }
}

int report_address_find(struct report_address *ret_address, const struct config *config,
                        const struct allow_rule *allow, const char *calling_ae, const char *peer)
{
    struct sockaddr_storage address;
    parse(&address, peer);
    for (uint32_t i = 0; i < config->peers_count; i++) {
        const struct config_peer *one = &config->peers[i];
        if (one->report_port != 0 &&
            allow_find(&allow[i], 1, calling_ae, (const struct sockaddr *)&address) != NULL) {
            *ret_address =
                (struct report_address){.host = one->report_host == NULL ? peer : one->report_host,
                                        .port = one->report_port};
            return 0;
        }
    }
    for (uint32_t i = 0; i < config->destinations_count; i++) {
        const struct config_destination *one = &config->destinations[i];
        if (strcmp(one->ae_title, calling_ae) == 0) {
            *ret_address = (struct report_address){.host = one->host, .port = one->port};
            return 0;
        }
    }
    return REPORT_ADDRESS_NONE;
}
