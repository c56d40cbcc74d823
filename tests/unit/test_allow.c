/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/error.h"
#include "server/allow.h"

static struct sctd_error err;

static bool allowed(const char *rule_text, const char *ae, const char *address)
{
    struct allow_rule rule;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    assert(allow_parse(&rule, rule_text, &err) == 0);
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        return allow_find(&rule, 1, ae, (struct sockaddr *)&in) != NULL;
    }
    assert(inet_pton(AF_INET6, address, &in6.sin6_addr) == 1);
    return allow_find(&rule, 1, ae, (struct sockaddr *)&in6) != NULL;
}

static void patterns_match_as_a_shell_does(void)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},           {"*", "", true},           {"?", "", false},
        {"A", "A", true},         {"A", "B", false},         {"A", "AA", false},
        {"A*", "A", true},        {"A*C", "ABBC", true},     {"A*C", "ABBCD", false},
        {"*A*B*", "xAyBz", true}, {"*A*B*", "xByAz", false}, {"A??", "AB", false},
        {"A??", "ABC", true},     {"**", "x", true},         {"a", "A", false},
        {"*aab", "aaaab", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert(allow_matches(cases[i].pattern, cases[i].text) == cases[i].matches);
    }
}

static void a_title_and_an_address_must_both_fit(void)
{
    assert(allowed("MR1", "MR1", "192.0.2.1"));
    assert(allowed("MR1", "MR1", "2001:db8::1"));
    assert(!allowed("MR1", "MR2", "192.0.2.1"));
    assert(allowed("MR*@10.1.0.0/16", "MR7", "10.1.200.3"));
    assert(!allowed("MR*@10.1.0.0/16", "MR7", "10.2.0.1"));
    assert(!allowed("MR*@10.1.0.0/16", "CT", "10.1.0.1"));
    assert(allowed("@10.1.2.3", "ANY", "10.1.2.3"));
    assert(!allowed("@10.1.2.3", "ANY", "10.1.2.4"));
    assert(allowed("@*", "ANY", "10.1.2.4"));
    assert(allowed("A B@10.0.0.0/8", "A B", "10.255.0.1"));
}

static void networks_count_bits(void)
{
    assert(allowed("@192.168.5.128/25", "A", "192.168.5.200"));
    assert(!allowed("@192.168.5.128/25", "A", "192.168.5.100"));
    assert(allowed("@0.0.0.0/0", "A", "255.1.1.1"));
    assert(!allowed("@0.0.0.0/0", "A", "2001:db8::1"));
    assert(allowed("@2001:db8::/33", "A", "2001:db8:7fff::1"));
    assert(!allowed("@2001:db8::/33", "A", "2001:db8:8000::1"));
    assert(allowed("@2001:db8::1/128", "A", "2001:db8::1"));
    assert(!allowed("@2001:db8::1/128", "A", "2001:db8::2"));
}

static void ipv4_in_ipv6_is_ipv4(void)
{
    assert(allowed("@10.1.0.0/16", "A", "::ffff:10.1.2.3"));
    assert(!allowed("@10.1.0.0/16", "A", "::ffff:10.2.2.3"));
}

static void no_rule_allows_nobody_and_any_rule_suffices(void)
{
    struct allow_rule rules[2];
    struct sockaddr_in in = {.sin_family = AF_INET};
    assert(allow_parse(&rules[0], "A", &err) == 0 && allow_parse(&rules[1], "B", &err) == 0);
    assert(allow_find(rules, 0, "A", (struct sockaddr *)&in) == NULL);
    assert(allow_find(rules, 2, "B", (struct sockaddr *)&in) == &rules[1]);
    assert(allow_find(rules, 2, "C", (struct sockaddr *)&in) == NULL);
}

static void what_is_no_rule_is_refused(void)
{
    static const char *const bad[] = {"ABCDEFGHIJKLMNOPQ", "A/B",      "A@10.1.2", "A@10.1.2.3/33",
                                      "A@10.1.2.3/-1",     "A@::/129", "A@",       "A@host.example",
                                      "A@10.1.2.3/",       " A"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct allow_rule rule;
        assert(allow_parse(&rule, bad[i], &err) == SCTD_EINVAL && strlen(err.text) > 0);
    }
}

int main(void)
{
    patterns_match_as_a_shell_does();
    a_title_and_an_address_must_both_fit();
    networks_count_bits();
    ipv4_in_ipv6_is_ipv4();
    no_rule_allows_nobody_and_any_rule_suffices();
    what_is_no_rule_is_refused();
    return 0;
}
