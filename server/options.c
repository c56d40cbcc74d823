/* SPDX-License-Identifier: Apache-2.0 */
#include "server/options.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"

enum { WORD_MAX = 40, HELP_COLUMN = 26, HELP_WIDTH = 96 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance; words beyond WORD_MAX are far from everything. */
static size_t distance(const char *a, const char *b)
{
    const size_t n = strlen(b);
    if (n > WORD_MAX || strlen(a) > WORD_MAX) {
        return SIZE_MAX;
    }
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = least(change, least(row[j], diagonal) + 1);
        }
    }
    return row[n];
}

const char *options_suggest(const char *word, const char *const *words, size_t n)
{
    const char *nearest = NULL;
    size_t best = 3; /* two slips at most */
    for (size_t i = 0; i < n; i++) {
        const size_t d = distance(word, words[i]);
        if (d < best && d < strlen(words[i])) {
            best = d;
            nearest = words[i];
        }
    }
    return nearest;
}

/* Whether `value` is one of the choice's `n` bytes: itself, or with digits for an N behind a colon. */
static bool matches(const char *choice, size_t n, const char *value)
{
    static const char number[] = ":N";
    const size_t room = sizeof number - 1;
    if (n < room || strncmp(choice + n - room, number, room) != 0) {
        return strlen(value) == n && strncmp(choice, value, n) == 0;
    }
    const char *digits = value + n - 1;
    return strncmp(choice, value, n - 1) == 0 && *digits != '\0' &&
           strspn(digits, "0123456789") == strlen(digits) && strlen(digits) <= 4;
}

bool options_has_choice(const char *choices, const char *value)
{
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += *at == '|' ? 1 : 0;
        if (*value != '\0' && matches(at, strcspn(at, "|"), value)) {
            return true;
        }
    }
    return false;
}

static int parse_choice(const struct option *o, const char *value, struct sctd_error *err)
{
    if (options_has_choice(o->choices, value)) {
        *(const char **)o->target = value;
        return 0;
    }
    return sctd_error(err, SCTD_EINVAL, "--%s is \"%.64s\": use one of %s", o->name, value,
                      o->choices);
}

static int parse_number(const struct option *o, const char *value, struct sctd_error *err)
{
    int64_t number = 0;
    if (sctd_parse_i64(&number, value, o->min, o->max, err) < 0) {
        return sctd_error(err, SCTD_EINVAL,
                          "--%s is \"%.64s\": use a whole number from %lld to %lld", o->name, value,
                          (long long)o->min, (long long)o->max);
    }
    *(int64_t *)o->target = number;
    return 0;
}

static int parse_size(const struct option *o, const char *value, struct sctd_error *err)
{
    char height[16] = "";
    int64_t number[2] = {0};
    const size_t length = strcspn(value, "x");
    if (value[length] == 'x' && length < sizeof height) {
        memcpy(height, value, length);
        if (sctd_parse_i64(&number[0], height, o->min, o->max, err) == 0 &&
            sctd_parse_i64(&number[1], value + length + 1, o->min, o->max, err) == 0) {
            *(struct option_size *)o->target =
                (struct option_size){.height = (int32_t)number[0], .width = (int32_t)number[1]};
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "--%s is \"%.64s\": use HEIGHTxWIDTH, both from %lld to %lld, like 256x256",
                      o->name, value, (long long)o->min, (long long)o->max);
}

/* "1.6,1.6,3" */
static int parse_decimals(const struct option *o, const char *value, struct sctd_error *err)
{
    assert(o->count > 0 && o->count <= OPTIONS_DECIMALS_MAX);
    double number[OPTIONS_DECIMALS_MAX] = {0};
    int32_t n = 0;
    const char *at = value;
    for (; n < o->count && at != NULL; n++) {
        char one[32] = "";
        const size_t length = strcspn(at, ",");
        if (length >= sizeof one) {
            break;
        }
        memcpy(one, at, length);
        if (sctd_parse_f64(&number[n], one, err) < 0) {
            break;
        }
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    if (n < o->count || at != NULL) {
        return sctd_error(err, SCTD_EINVAL,
                          "--%s is \"%.64s\": use %d numbers with commas between, like %s", o->name,
                          value, (int)o->count, o->argument);
    }
    memcpy(o->target, number, (size_t)n * sizeof *number);
    return 0;
}

static int parse_value(const struct option *o, const char *value, struct sctd_error *err)
{
    struct option_list *list = o->target;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->target = true;
        return 0;
    case OPTION_TEXT:
        if (*value == '\0') {
            return sctd_error(err, SCTD_EINVAL, "--%s is empty: give %s", o->name, o->argument);
        }
        *(const char **)o->target = value;
        return 0;
    case OPTION_LIST:
        if (list->n == OPTIONS_LIST_MAX) {
            return sctd_error(err, SCTD_EINVAL, "--%s is given more than %d times", o->name,
                              OPTIONS_LIST_MAX);
        }
        list->item[list->n++] = value;
        return 0;
    case OPTION_CHOICE:
        return parse_choice(o, value, err);
    case OPTION_NUMBER:
        return parse_number(o, value, err);
    case OPTION_SIZE:
        return parse_size(o, value, err);
    case OPTION_DECIMALS:
        return parse_decimals(o, value, err);
    }
    return sctd_error(err, SCTD_EINVAL, "--%s is of no known kind", o->name);
}

/* The state of one options_parse. */
struct parser {
    const struct options *options;
    char **argv;
    int argc;
    int at;         /* the argument looked at */
    int n_operands; /* they are argv[1 ... n_operands] */
    uint64_t given; /* a bit for each option */
};

static int refuse_unknown(const struct options *options, const char *name, size_t length,
                          struct sctd_error *err)
{
    char word[WORD_MAX + 1] = "";
    const char *words[64] = {NULL};
    size_t n = 0;
    for (; n < options->n && n < sizeof words / sizeof words[0]; n++) {
        words[n] = options->option[n].name;
    }
    memcpy(word, name, least(length, WORD_MAX));
    const char *nearest = options_suggest(word, words, n);
    if (nearest != NULL) {
        return sctd_error(err, SCTD_EINVAL, "there is no option --%s: did you mean --%s?", word,
                          nearest);
    }
    return sctd_error(err, SCTD_EINVAL, "there is no option --%s: see %s --help", word,
                      options->command);
}

static int parse_long(struct parser *p, const char *name, struct sctd_error *err)
{
    const size_t length = strcspn(name, "=");
    size_t i = 0;
    while (i < p->options->n && (strlen(p->options->option[i].name) != length ||
                                 strncmp(p->options->option[i].name, name, length) != 0)) {
        i++;
    }
    if (i == p->options->n) {
        return refuse_unknown(p->options, name, length, err);
    }

    const struct option *o = &p->options->option[i];
    p->given |= UINT64_C(1) << i;
    if (o->kind == OPTION_FLAG) {
        return name[length] == '\0'
                   ? parse_value(o, "", err)
                   : sctd_error(err, SCTD_EINVAL, "--%s takes no value: leave %.64s out", o->name,
                                name + length);
    }
    if (name[length] == '=') {
        return parse_value(o, name + length + 1, err);
    }
    if (p->at + 1 == p->argc) {
        return sctd_error(err, SCTD_EINVAL, "--%s has no value: give %s", o->name, o->argument);
    }
    return parse_value(o, p->argv[++p->at], err);
}

/* What is needed and missing, or too much. */
static int check_complete(const struct parser *p, struct sctd_error *err)
{
    const struct options *options = p->options;
    for (size_t i = 0; i < options->n; i++) {
        const struct option *o = &options->option[i];
        if (o->required && (p->given >> i & 1U) == 0) {
            return sctd_error(err, SCTD_EINVAL, "--%s is missing: give --%s %s", o->name, o->name,
                              o->argument);
        }
    }
    if (p->n_operands < options->min_operands) {
        return sctd_error(err, SCTD_EINVAL, "an operand is missing: give %s", options->operands);
    }
    if (p->n_operands > options->max_operands) {
        return sctd_error(err, SCTD_EINVAL, "\"%.64s\" is one operand too many: see %s --help",
                          p->argv[options->max_operands + 1], options->command);
    }
    return 0;
}

int options_parse(const struct options *options, int argc, char **argv, char ***ret_operands,
                  struct sctd_error *err)
{
    struct parser p = {.options = options, .argv = argv, .argc = argc, .at = 1};
    bool ended = false;
    for (; p.at < argc; p.at++) {
        char *argument = argv[p.at];
        int r = 0;
        if (!ended && (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
            options_print_help(options, stdout);
            return OPTIONS_HELP;
        }
        if (!ended && strcmp(argument, "--") == 0) {
            ended = true;
        } else if (!ended && strncmp(argument, "--", 2) == 0) {
            r = parse_long(&p, argument + 2, err);
        } else if (!ended && argument[0] == '-' && argument[1] != '\0') {
            r = sctd_error(err, SCTD_EINVAL, "there is no option %.64s: see %s --help", argument,
                           options->command);
        } else {
            argv[++p.n_operands] = argument;
        }
        if (r < 0) {
            return r;
        }
    }

    int r = check_complete(&p, err);
    if (r < 0) {
        return r;
    }
    if (p.n_operands + 1 < argc) {
        argv[p.n_operands + 1] = NULL;
    }
    *ret_operands = argv + 1;
    return 0;
}

/* Text from the help column on, broken between words. */
static void print_wrapped(const char *text, int column, FILE *out)
{
    while (*text != '\0') {
        const int length = (int)strcspn(text, " ");
        if (column + 1 + length > HELP_WIDTH) {
            (void)fprintf(out, "\n%*s", HELP_COLUMN - 1, "");
            column = HELP_COLUMN - 1;
        }
        (void)fprintf(out, " %.*s", length, text);
        column += 1 + length;
        text += length;
        text += strspn(text, " ");
    }
}

static void print_option(const struct option *o, FILE *out)
{
    int column = fprintf(out, "  --%s%s%s", o->name, o->argument == NULL ? "" : " ",
                         o->argument == NULL ? "" : o->argument);
    if (column >= HELP_COLUMN) {
        (void)fprintf(out, "\n");
        column = 0;
    }
    (void)fprintf(out, "%*s", HELP_COLUMN - 1 - (column < 0 ? 0 : column), "");
    print_wrapped(o->help, HELP_COLUMN - 1, out);
    (void)fprintf(out, "%s\n", o->required ? " (required)" : "");
}

void options_print_help(const struct options *options, FILE *out)
{
    static const struct option help = {.name = "help", .help = "print this text"};
    (void)fprintf(out, "usage: %s [OPTION]...%s%s\n\n%s\n\nOptions:\n", options->command,
                  options->operands == NULL ? "" : " ",
                  options->operands == NULL ? "" : options->operands, options->summary);
    for (size_t i = 0; i < options->n; i++) {
        print_option(&options->option[i], out);
    }
    print_option(&help, out);
}
