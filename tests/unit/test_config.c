/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/config.h"

#include "tests/support/hold.h"

static struct config *load(const char *text)
{
    struct sctd_error err = {0};
    struct config *config = NULL;
    if (config_parse(&config, "sctd.yaml", text, strlen(text), &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(config != NULL);
    return config;
}

static void what_is_left_out_takes_its_default(void)
{
    struct config *c = load("ae_title: NODE\n");
    assert(strcmp(c->ae_title, "NODE") == 0);
    assert(strcmp(c->state_dir, "/var/lib/sctd") == 0);
    assert(strcmp(c->models_dir, "/var/lib/sctd/models") == 0);
    assert(strcmp(c->listen.address, "0.0.0.0") == 0 && config_listen_port(&c->listen) == 11112);
    assert(c->listen.associations == 64 && c->listen.per_peer == 8);
    assert(c->completion.quiet_s == 60 && c->completion.closed_quiet_s == 5);
    assert(c->workers.silence_s == 60 && c->workers.load_s == 600);
    assert(c->workers.slots == 1 && strcmp(c->workers.precision, "auto") == 0);
    assert(c->rules_count == 0 && c->destinations_count == 0 && c->peers_count == 0);
    config_free(c);
}

static void check_whole(const struct config *c)
{
    HOLD(strcmp(c->models_dir, "/srv/sctd/models") == 0 && config_listen_port(&c->listen) == 104);
    HOLD(c->peers_count == 1 && c->peers[0].compressed);
    HOLD(strcmp(c->peers[0].report_host, "console") == 0 && c->peers[0].report_port == 104);
    HOLD(config_find_destination(c, "tps")->no_storage_commitment);
    HOLD(config_find_destination(c, "tpx") == NULL);
    HOLD(c->rules_count == 2 && c->rules[0].ignore && c->rules[0].match.image_type_count == 3);
    const struct config_rule *head = &c->rules[1];
    HOLD(strcmp(head->model, "head@1") == 0 && head->grid == CONFIG_GRID_AXIAL);
    HOLD(head->rescale_intercept == -1024 && head->priority == 5);
    HOLD(head->review == CONFIG_REVIEW_DELIVER && c->rules[0].review == CONFIG_REVIEW_HOLD);
    HOLD(head->series_number_offset == 1000 && head->match.min_slices == 20);
    HOLD(head->select_count == 1 && strcmp(head->select[0], "echo=1") == 0);
    HOLD(head->destinations_count == 2 && strcmp(head->destinations[1], "tps") == 0);
    HOLD(c->workers.slots == 3 && c->workers.gpu_memory_mib == 20000);
    HOLD(strcmp(config_worker_backend(&c->workers, 0), "cuda:0") == 0);
    HOLD(strcmp(config_worker_backend(&c->workers, 1), "cuda:1") == 0);
    HOLD(strcmp(config_worker_backend(&c->workers, 2), "cuda:0") == 0);
    HOLD(c->log_format == CONFIG_LOG_JSON);
}

static void everything_is_read(void)
{
    struct config *c =
        load("ae_title: SCTD\n"
             "state_dir: /srv/sctd\n"
             "listen: {address: '::', port: 104, associations: 10, per_peer: 2}\n"
             "peers:\n"
             "  - {ae_title: MR*, address: 10.1.0.0/16, compressed: true, report_host: console, "
             "report_port: 104}\n"
             "destinations:\n"
             "  - {name: pacs, ae_title: ORTHANC, host: 127.0.0.1, port: 4242}\n"
             "  - {name: tps, ae_title: TPS, host: tps, port: 104, no_storage_commitment: true}\n"
             "rules:\n"
             "  - name: localisers\n"
             "    match: {modality: MR, image_type: ['*', '*', LOCALIZER]}\n"
             "    ignore: true\n"
             "  - name: head\n"
             "    match:\n"
             "      modality: MR\n"
             "      series_description: '^t1.*(head|brain)'\n"
             "      min_slices: 20\n"
             "    model: head@1\n"
             "    select: [echo=1]\n"
             "    destinations: [pacs, tps]\n"
             "    grid: axial\n"
             "    review: deliver\n"
             "    rescale_intercept: -1024\n"
             "    priority: 5\n"
             "workers: {slots: 3, backends: ['cuda:0', 'cuda:1'], gpu_memory_mib: 20000}\n"
             "log_format: json\n");
    check_whole(c);
    config_free(c);
}

static void slots_that_ask_for_the_same_have_turns(void)
{
    static char any[] = "auto";
    static char cuda[] = "cuda";
    static char one[] = "cuda:1";
    static char cpu[] = "cpu";
    char *backends[] = {any, one, cuda, cpu};
    /* auto, cuda:1, cuda, cpu, auto, cuda:1 */
    const struct config_workers workers = {.slots = 6, .backends = backends, .backends_count = 4};
    const struct config_workers plain = {.slots = 3};
    static const int32_t expected[6][2] = {{0, 3}, {0, 2}, {1, 3}, {0, 1}, {2, 3}, {1, 2}};
    int32_t turn = -1;
    int32_t turns = -1;
    for (int i = 0; i < workers.slots; i++) {
        config_worker_turn(&workers, i, &turn, &turns);
        assert(turn == expected[i][0] && turns == expected[i][1]);
    }
    for (int i = 0; i < plain.slots; i++) {
        config_worker_turn(&plain, i, &turn, &turns);
        assert(turn == i && turns == plain.slots);
    }
}

static void mistakes_are_named_with_their_place(void)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"ae_title: SCTD\nlisen: {port: 104}\n",
         "sctd.yaml, line 2: Unexpected key: lisen: did you mean \"listen\"?"},
        {"listen:\n  port: many\n", "line 2: Invalid uint64_t value: 'many'"},
        {"listen:\n  port: 70000\n", "line 2: "},
        {"listen:\n  associations: x1\n", "line 2: Invalid INT value: 'x1'"},
        {"listen: {associations: 5000}\n", "listen.associations is 5000: it must be 1 to 1024"},
        {"workers: {backends: [gpu]}\n", "workers.backends: \"gpu\": use one of auto|cuda|"},
        {"workers: {backends: ['cuda:']}\n", "workers.backends: \"cuda:\": use one of"},
        {"workers: {backends: ['cuda:1x']}\n", "workers.backends: \"cuda:1x\": use one of"},
        {"workers: {gpu_memory_mib: -1}\n", "workers.gpu_memory_mib is -1: it must be 0 to"},
        {"rules:\n  - match: {modality: MR}\n", "line 2: Missing required mapping field: name"},
        {"rules:\n  - {name: a, model: m, grid: oblique}\n", "line 2: Invalid ENUM value: oblique"},
        {"rules:\n  - {name: a, model: m, review: held}\n", "line 2: Invalid ENUM value: held"},
        {"rules:\n  - {name: a}\n", "rule \"a\": give either a model or ignore: true"},
        {"rules: [{name: a, model: m, ignore: true}]\n", "give either a model or ignore"},
        {"rules: [{name: a, ignore: true}, {name: a, ignore: true}]\n", "\"a\" is there twice"},
        {"rules: [{name: a, model: m, destinations: [x]}]\n", "there is no destination \"x\""},
        {"rules: [{name: a, model: m, rescale_intercept: 5}]\n", "rescale_intercept: 0 or -1024"},
        {"rules: [{name: a, model: m, priority: 101}]\n", "priority: -100 to 100"},
        {"rules: [{name: a, model: m, match: {min_slices: 9, max_slices: 3}}]\n", "do not fit"},
        {"rules: [{name: a, model: m, select: [ecko=1]}]\n", "rule \"a\": "},
        {"ae_title: SEVENTEEN_LETTERS\n", "ae_title: up to 16 characters"},
        {"ae_title: 'A\\B'\n", "ae_title: up to 16 characters"},
        {"destinations: [{name: a, ae_title: A, host: h, port: 0}]\n", "port: 1 to 65535"},
        {"destinations: [{name: a, ae_title: A, host: h, port: 1},"
         " {name: a, ae_title: A, host: h, port: 1}]\n",
         "destination \"a\" is there twice"},
        {"ae_title: a\nlisten:\n  address: x\n\n  prot: 5\n",
         "line 5: Unexpected key: prot: did you mean \"port\""},
        {"a: &x 1\nb: *x\n", "sctd.yaml"},
        {"{", "sctd.yaml"},
        {"- 1\n", "sctd.yaml: Expecting MAPPING"},
        {"\n", "sctd.yaml: it is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sctd_error err = {0};
        struct config *config = NULL;
        const int r =
            config_parse(&config, "sctd.yaml", cases[i].text, strlen(cases[i].text), &err);
        if (r != SCTD_EDATA || strstr(err.text, cases[i].expected) == NULL) {
            (void)fprintf(stderr, "%s -> %d %s\n", cases[i].text, r, err.text);
        }
        assert(r == SCTD_EDATA && config == NULL);
        assert(strstr(err.text, cases[i].expected) != NULL);
    }
}

static void missing_file_is_an_error(void)
{
    struct sctd_error err = {0};
    struct config *config = NULL;
    assert(config_load(&config, "/nonexistent/sctd.yaml", &err) == SCTD_EIO);
    assert(strstr(err.text, "/nonexistent/sctd.yaml") != NULL);
}

int main(void)
{
    what_is_left_out_takes_its_default();
    everything_is_read();
    slots_that_ask_for_the_same_have_turns();
    mistakes_are_named_with_their_place();
    missing_file_is_an_error();
    return 0;
}
