/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db/instances.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/config.h"
#include "server/policy.h"

#include "tests/support/temporary.h"

#define SHA     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NAME_40 "a23456789012345678901234567890123456789x"

static struct sctd_error err;
static char root[] = TEMPORARY("test_policy");
static char models[64], config_path[64];

/* A model as it lies in the models' folder, without its weights. */
static void put_model(const char *folder, const char *name, const char *version)
{
    static const char format[] =
        "{\"format\": 1, \"name\": \"%s\", \"version\": \"%s\", \"description\": \"\","
        "\"content_qualification\": \"RESEARCH\","
        "\"weights\": {\"file\": \"weights.safetensors\", \"sha256\": \"" SHA
        "\", \"bytes\": 123456},"
        "\"network\": {\"height\": 256, \"width\": 256,"
        "\"backbone\": {\"dim\": 768, \"depth\": 12, \"heads\": 12, \"hidden\": 3072, "
        "\"ffn\": \"mlp\", \"storage_tokens\": 4, \"features\": [2, 5, 8, 11]},"
        "\"generator\": {\"base_channels\": 64, \"fusion\": \"cnn\", "
        "\"levels\": [true, true, true, true], \"cnn\": true}},"
        "\"recipe\": {\"modality\": \"MR\", \"clip\": {\"kind\": \"percentile\", \"low\": 1, "
        "\"high\": 99}, \"cnn_range\": [-1, 1], \"dino_range\": [0, 2], "
        "\"hu_range\": [-1024, 2000]},"
        "\"sources\": {\"backbone\": {\"file\": \"vit.pth\", \"sha256\": \"" SHA "\"},"
        "\"generator\": {\"file\": \"net_G.pth\", \"sha256\": \"" SHA "\"}}}";
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", models, folder);
    assert(mkdir(path, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/%s/manifest.json", models, folder);
    FILE *file = fopen(path, "we");
    assert(file != NULL && fprintf(file, format, name, version) > 0 && fclose(file) == 0);
}

/* The configuration with these rules and destinations. */
static int load(struct policy **ret_policy, const char *rules, int destinations)
{
    FILE *file = fopen(config_path, "we");
    assert(file != NULL);
    assert(fprintf(file, "state_dir: %s\nmodels_dir: %s\n", root, models) > 0);
    for (int i = 0; i < destinations; i++) {
        assert(fprintf(file, "%s  - {name: d%d, ae_title: A, host: h, port: 1}\n",
                       i == 0 ? "destinations:\n" : "", i) > 0);
    }
    assert(fprintf(file, "rules:\n%s", rules) > 0 && fclose(file) == 0);
    return policy_load(ret_policy, config_path, &err);
}

static struct policy *must_load(const char *rules)
{
    struct policy *policy = NULL;
    const int r = load(&policy, rules, 0);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(r == 0);
    return policy;
}

static void every_rule_has_its_model(void)
{
    sctd_auto(policy_freep) struct policy *policy =
        must_load("  - {name: no, match: {modality: OT}, ignore: true}\n"
                  "  - {name: a, match: {modality: MR}, model: head@1}\n"
                  "  - {name: b, match: {modality: CT}, model: neck}\n");
    assert(policy->config->rules_count == 3 && policy->model[0].dir[0] == '\0');
    assert(strcmp(policy->model[1].manifest.name, "head") == 0);
    assert(strcmp(policy->model[1].manifest.version, "1") == 0);
    assert(strstr(policy->model[2].dir, "/neck@2") != NULL);
}

static void a_rule_that_could_never_make_a_job_is_refused_at_once(void)
{
    static const struct {
        const char *rule, *text;
    } rows[] = {
        {"  - {name: lost, match: {modality: MR}, model: nose}\n", "rule \"lost\""},
        {"  - {name: many, match: {modality: MR}, model: head}\n", "several versions"},
        {"  - {name: moved, match: {modality: MR}, model: moved@9}\n", "its manifest says"},
        {"  - {name: long, match: {modality: MR}, model: " NAME_40 "}\n", "longer than 64"},
        {"  - {name: far, match: {modality: MR}, model: head@1, destinations: "
         "[d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11, d12, d13, d14, d15, d16, d17, d18, "
         "d19, d20, d21, d22, d23, d24, d25, d26, d27, d28, d29, d30, d31, d32]}\n",
         "at most 32"},
        {"  - {name: picky, match: {modality: MR}, model: head@1, select: "
         "[echo=1, echo=1, echo=1, echo=1, echo=1, echo=1, echo=1, echo=1, echo=1, echo=1, "
         "echo=1, echo=1, echo=1, echo=1, echo=1, echo=1, echo=1]}\n",
         "select"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy *policy = NULL;
        const int r = load(&policy, rows[i].rule, 33);
        if (r >= 0 || strstr(err.text, rows[i].text) == NULL) {
            (void)fprintf(stderr, "%s: %s\n", rows[i].text, err.text);
        }
        assert(r < 0 && policy == NULL && strstr(err.text, rows[i].text) != NULL);
    }
    struct policy *policy = NULL;
    assert(policy_load(&policy, "/nonexistent.yaml", &err) == SCTD_EIO && policy == NULL);
}

static void the_first_rule_that_holds_decides(void)
{
    sctd_auto(policy_freep) struct policy *policy = must_load(
        "  - {name: few, match: {modality: MR, max_slices: 9}, ignore: true}\n"
        "  - {name: mine, match: {modality: MR, calling_ae_title: MR*, series_description: ^t1,\n"
        "     station_name: S?, manufacturer: acme, body_part_examined: head,\n"
        "     image_type: [ORIGINAL]}, model: head@1}\n"
        "  - {name: any, match: {modality: MR}, model: neck}\n");
    struct db_series s = {.modality = "MR",
                          .calling_ae = "MR7",
                          .series_description = "T1 sag",
                          .station = "s1",
                          .manufacturer = "ACME",
                          .body_part = "HEAD",
                          .image_type = "ORIGINAL\\PRIMARY"};
    struct policy_decision d;
    policy_decide(policy, &s, 10, &d);
    assert(d.verdict == POLICY_CONVERT && d.rule == &policy->config->rules[1]);
    assert(d.model == &policy->model[1] && strcmp(d.reason, "rule \"mine\"") == 0);
    policy_decide(policy, &s, 9, &d);
    assert(d.verdict == POLICY_IGNORE && d.model == NULL);
    assert(strcmp(d.reason, "rule \"few\" ignores it") == 0);
    policy_decide(policy, &s, INT32_MAX, &d);
    assert(d.rule == &policy->config->rules[1]);
    char *const texts[] = {s.calling_ae,   s.series_description, s.station,
                           s.manufacturer, s.body_part,          s.image_type};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) { /* each condition counts */
        const char kept = *texts[i];
        *texts[i] = '#';
        policy_decide(policy, &s, 10, &d);
        assert(d.rule == &policy->config->rules[2]);
        *texts[i] = kept;
    }
    s.modality[0] = 'X';
    policy_decide(policy, &s, 10, &d);
    assert(d.verdict == POLICY_IGNORE && strstr(d.reason, "no rule holds") == d.reason);
}

static void our_own_is_never_a_source(void)
{
    sctd_auto(policy_freep) struct policy *policy =
        must_load("  - {name: any, match: {modality: MR}, model: neck}\n");
    struct policy_decision d;
    const struct db_series s = {.modality = "MR", .manufacturer = "sctd"};
    policy_decide(policy, &s, 10, &d);
    assert(d.verdict == POLICY_IGNORE && strstr(d.reason, "never a source") != NULL);
}

static void a_higher_priority_goes_first(void)
{
    static const int32_t rows[][2] = {{100, 0},  {99, 1},        {20, 4},       {19, 5},
                                      {0, 5},    {-19, 5},       {-20, 6},      {-80, 8},
                                      {-100, 8}, {INT32_MAX, 0}, {INT32_MIN, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct config_rule rule = {.priority = rows[i][0]};
        assert(policy_priority(&rule) == rows[i][1]);
    }
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    (void)snprintf(models, sizeof models, "%s/models", root);
    (void)snprintf(config_path, sizeof config_path, "%s/sctd.yaml", root);
    assert(mkdir(models, 0700) == 0);
    put_model("head@1", "head", "1");
    put_model("head@2", "head", "2");
    put_model("neck@2", "neck", "2");
    put_model("moved@9", "head", "1");
    put_model(NAME_40 "@" NAME_40, NAME_40, NAME_40);
    every_rule_has_its_model();
    a_rule_that_could_never_make_a_job_is_refused_at_once();
    the_first_rule_that_holds_decides();
    our_own_is_never_a_source();
    a_higher_priority_goes_first();
    sctd_dir_remove(root);
    return 0;
}
