/*
 * config_schema.h - what libcyaml must know of sctd.yaml.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cyaml/cyaml.h>

extern const cyaml_schema_value_t config_schema;

/* The key, of whatever mapping, that is nearest to `word`; NULL if none is near. */
const char *config_schema_suggest(const char *word);
