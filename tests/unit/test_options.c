/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/options.h"

/* One option of each kind, and where they go. */
static struct values {
    bool json;
    const char *text;
    struct option_list taps;
    const char *choice;
    int64_t number;
    struct option_size size;
    double spacing[3];
} v;

static const struct option table[] = {
    {.name = "json", .kind = OPTION_FLAG, .target = &v.json, .help = "print JSON"},
    {.name = "text",
     .kind = OPTION_TEXT,
     .target = (void *)&v.text,
     .argument = "TEXT",
     .help = "a text"},
    {.name = "tap", .kind = OPTION_LIST, .target = &v.taps, .argument = "NAME", .help = "a tap"},
    {.name = "precision",
     .kind = OPTION_CHOICE,
     .target = (void *)&v.choice,
     .argument = "P",
     .help = "how exact",
     .choices = "auto|fp32|bf16"},
    {.name = "threads",
     .kind = OPTION_NUMBER,
     .target = &v.number,
     .argument = "N",
     .help =
         "a number that needs a help text so long that it has to be broken into two lines by words",
     .min = 0,
     .max = 64},
    {.name = "size",
     .kind = OPTION_SIZE,
     .target = &v.size,
     .argument = "HxW",
     .help = "a size",
     .min = 16,
     .max = 2048},
    {.name = "spacing",
     .kind = OPTION_DECIMALS,
     .target = v.spacing,
     .argument = "X,Y,Z",
     .help = "three numbers",
     .count = 3},
};

static const struct options options = {
    .command = "sctd test",
    .operands = "FILE...",
    .summary = "Test.",
    .option = table,
    .n = sizeof table / sizeof table[0],
    .min_operands = 0,
    .max_operands = 2,
};

enum { WORDS_MAX = 300 };

static int parse_with(const struct options *o, const char *line, char ***ret_operands,
                      struct sctd_error *err)
{
    static char text[4096];
    static char *argv[WORDS_MAX + 1];
    int argc = 0;
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *at = text; at != NULL && argc < WORDS_MAX; argc++) {
        argv[argc] = at;
        at = strchr(at, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    argv[argc] = NULL;
    v = (struct values){.number = -1};
    return options_parse(o, argc, argv, ret_operands, err);
}

static char **parsed(const char *line)
{
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    int r = parse_with(&options, line, &operands, &err);
    if (r != 0) {
        (void)fprintf(stderr, "%s: %s\n", line, err.text);
    }
    assert(r == 0);
    return operands;
}

static struct sctd_error refused(const char *line)
{
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    assert(parse_with(&options, line, &operands, &err) == SCTD_EINVAL);
    assert(operands == NULL);
    return err;
}

static void every_kind_is_read_in_both_forms(void)
{
    char **operands =
        parsed("x --json --text a --tap p --tap=q --precision bf16 --threads=8 --size 48x80");
    assert(operands[0] == NULL);
    assert(v.json && strcmp(v.text, "a") == 0 && strcmp(v.choice, "bf16") == 0 && v.number == 8);
    assert(v.taps.n == 2 && strcmp(v.taps.item[1], "q") == 0);
    assert(v.size.height == 48 && v.size.width == 80);
    (void)parsed("x --text=--json --text=last");
    assert(!v.json && strcmp(v.text, "last") == 0);
    assert(v.number == -1); /* untouched */
    (void)parsed("x --text --json");
    assert(!v.json && strcmp(v.text, "--json") == 0);
}

static void decimals_are_read_in_their_order(void)
{
    (void)parsed("x --spacing 1.5,-2,3e-1");
    assert(v.spacing[0] == 1.5 && v.spacing[1] == -2.0 && v.spacing[2] == 0.3);
    (void)refused("x --spacing 7,8");
    assert(v.spacing[0] == 0.0); /* untouched */
}

static void operands_stand_anywhere(void)
{
    char **operands = parsed("x one --json two");
    assert(strcmp(operands[0], "one") == 0 && strcmp(operands[1], "two") == 0);
    assert(operands[2] == NULL && v.json);
    operands = parsed("x -- --json -");
    assert(strcmp(operands[0], "--json") == 0 && strcmp(operands[1], "-") == 0 && !v.json);
}

static void wrong_words_are_refused_with_the_mend(void)
{
    static const struct {
        const char *line, *mend;
    } cases[] = {
        {"x --jsn", "did you mean --json?"},
        {"x --completely-different", "see sctd test --help"},
        {"x --js", "did you mean --json?"},
        {"x -j", "there is no option -j"},
        {"x --json=1", "takes no value"},
        {"x --text", "--text has no value: give TEXT"},
        {"x --text=", "--text is empty"},
        {"x --precision fp16", "use one of auto|fp32|bf16"},
        {"x --precision fp", "use one of"},
        {"x --precision fp32|bf16", "use one of"},
        {"x --precision=", "use one of"},
        {"x --threads 65", "use a whole number from 0 to 64"},
        {"x --threads 8x", "whole number"},
        {"x --threads=", "whole number"},
        {"x --size 256", "HEIGHTxWIDTH"},
        {"x --size 8x256", "HEIGHTxWIDTH"},
        {"x --size 256x", "HEIGHTxWIDTH"},
        {"x --size 00000000000000000016x16", "HEIGHTxWIDTH"},
        {"x --spacing 1,2", "use 3 numbers with commas between, like X,Y,Z"},
        {"x --spacing 1,2,3,4", "use 3 numbers"},
        {"x --spacing 1,2,3,", "use 3 numbers"},
        {"x --spacing ,1,2", "use 3 numbers"},
        {"x --spacing 1,,3", "use 3 numbers"},
        {"x --spacing 1,2,x", "use 3 numbers"},
        {"x --spacing 1,2,nan", "use 3 numbers"},
        {"x --spacing 1,2,1e999", "use 3 numbers"},
        {"x --spacing=", "use 3 numbers"},
        {"x --spacing 1,2,000000000000000000000000000000003", "use 3 numbers"},
        {"x a b c", "\"c\" is one operand too many"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sctd_error err = refused(cases[i].line);
        if (strstr(err.text, cases[i].mend) == NULL) {
            (void)fprintf(stderr, "%s: %s\n", cases[i].line, err.text);
        }
        assert(strstr(err.text, cases[i].mend) != NULL);
    }
}

static void required_options_and_operands_are_missed(void)
{
    struct option required = table[1];
    required.required = true;
    struct options o = options;
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    o.option = &required;
    o.n = 1;
    assert(parse_with(&o, "x", &operands, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "--text is missing: give --text TEXT") != NULL);
    o = options;
    o.min_operands = 1;
    assert(parse_with(&o, "x --json", &operands, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "give FILE...") != NULL);
}

static void list_has_a_maximum(void)
{
    char line[4096] = "x";
    for (int i = 0; i <= OPTIONS_LIST_MAX; i++) {
        memcpy(line + 1 + 8 * (size_t)i, " --tap=a", 9);
    }
    const struct sctd_error err = refused(line);
    assert(strstr(err.text, "more than 256 times") != NULL);
}

static void help_has_every_option_and_fits_the_screen(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert(out != NULL);
    options_print_help(&options, out);
    assert(fclose(out) == 0);
    assert(strstr(text, "usage: sctd test [OPTION]... FILE...\n") == text);
    for (size_t i = 0; i < options.n; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "  --%s", table[i].name);
        assert(strstr(text, name) != NULL);
    }
    assert(strstr(text, "  --help") != NULL);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert(strcspn(line, "\n") <= 100);
    }
    free(text);
}

static void suggestions_are_near(void)
{
    static const char *const words[] = {"model", "infer", "bench"};
    assert(strcmp(options_suggest("modle", words, 3), "model") == 0);
    assert(strcmp(options_suggest("ifer", words, 3), "infer") == 0);
    assert(options_suggest("serve", words, 3) == NULL);
    assert(options_suggest("", words, 3) == NULL);
    assert(options_suggest("averyveryveryveryveryveryveryveryverylongword", words, 3) == NULL);
}

static void a_choice_may_have_a_number(void)
{
    static const char *const good[] = {"auto", "cuda", "cuda:0", "cuda:17", "ref"};
    static const char *const bad[] = {"",           "cuda:", "cuda:N", "cuda:1x", "cuda:-1",
                                      "cuda:12345", "cuda1", "cud",    "au",      "auto|cuda"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert(options_has_choice("auto|cuda|cuda:N|ref", good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert(!options_has_choice("auto|cuda|cuda:N|ref", bad[i]));
    }
}

int main(void)
{
    a_choice_may_have_a_number();
    every_kind_is_read_in_both_forms();
    decimals_are_read_in_their_order();
    operands_stand_anywhere();
    wrong_words_are_refused_with_the_mend();
    required_options_and_operands_are_missed();
    list_has_a_maximum();
    help_has_every_option_and_fits_the_screen();
    suggestions_are_near();
    return 0;
}
