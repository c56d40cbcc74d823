/*
 * options.h - a subcommand's options as a table: parsed, checked and explained from one place.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An option is "--name value" or "--name=value", a flag "--name"; "--" ends the options, and
 * "--help" and "-h" are always there.  Where an option is given twice the last one counts, unless
 * it is a list.  Names are never abbreviated.
 *
 * Thread safety: the tables are only read; their targets belong to the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OPTIONS_LIST_MAX = 256, OPTIONS_DECIMALS_MAX = 8 };

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_TEXT,     /* const char *; not empty */
    OPTION_LIST,     /* struct option_list; may be repeated */
    OPTION_CHOICE,   /* const char *: one of `choices` */
    OPTION_NUMBER,   /* int64_t within min ... max */
    OPTION_SIZE,     /* struct option_size: HxW, both within min ... max */
    OPTION_DECIMALS, /* double[count]: finite numbers with commas between */
};

struct option_list {
    const char *item[OPTIONS_LIST_MAX];
    size_t n;
};

struct option_size {
    int32_t height, width;
};

struct option {
    const char *name;     /* without its dashes */
    void *target;         /* what the kind says; untouched where the option is not given */
    const char *argument; /* what --help calls the value: "DIR"; NULL for a flag */
    const char *help;     /* one sentence, no full stop */
    const char *choices;  /* "a|b|c"; "a:N" is a, a colon and a number */
    int64_t min, max;
    int32_t count; /* of OPTION_DECIMALS: how many, at most OPTIONS_DECIMALS_MAX */
    enum option_kind kind;
    bool required;
};

/* What a subcommand takes. */
struct options {
    const char *command;  /* "sctd model import" */
    const char *operands; /* "NAME[@VERSION]", as --help shows them; NULL if there are none */
    const char *summary;  /* what it does, for --help; may have several lines */
    const struct option *option;
    size_t n;
    int min_operands, max_operands;
};

enum { OPTIONS_HELP = 1 }; /* --help was asked for and has been printed */

/*
 * Read argv[1 ... argc - 1]; argv[0] is not looked at.  *ret_operands: the operands, followed by NULL;
 * they are moved together within argv.
 * Returns 0 or OPTIONS_HELP.  Errors: SCTD_EINVAL, naming the option, the reason and the mend.
 */
SCTD_NODISCARD int options_parse(const struct options *options, int argc, char **argv,
                                 char ***ret_operands, struct sctd_error *err);

/* The text of --help. */
void options_print_help(const struct options *options, FILE *out);

/* The word of words[n] nearest to `word`, or NULL if none is near. */
const char *options_suggest(const char *word, const char *const *words, size_t n);

/* What --backend, and workers.backends of the configuration, may be. */
#define OPTIONS_BACKENDS "auto|cuda|cuda:N|cpu|ref"

/* Whether `value` is one of "a|b|c:N". */
bool options_has_choice(const char *choices, const char *value);

#ifdef __cplusplus
}
#endif
