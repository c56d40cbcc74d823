/* cmd_options.h - rows of option tables that several subcommands have. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "server/config.h"
#include "server/options.h" // IWYU pragma: export

/* target: a const char *. */
#define CMD_MODEL_OPTION(variable)                                                                 \
    {.name = "model",                                                                              \
     .kind = OPTION_TEXT,                                                                          \
     .target = (void *)&(variable),                                                                \
     .argument = "NAME[@VERSION]|DIR",                                                             \
     .help = "a model of the models folder, or a model's directory (with a '/')",                  \
     .required = true}
#define CMD_CONFIG_OPTION(variable)                                                                \
    {.name = "config",                                                                             \
     .kind = OPTION_TEXT,                                                                          \
     .target = (void *)&(variable),                                                                \
     .argument = "FILE",                                                                           \
     .help = "the configuration; default " CONFIG_DEFAULT_PATH}
#define CMD_MODELS_DIR_OPTION(variable)                                                            \
    {.name = "models-dir",                                                                         \
     .kind = OPTION_TEXT,                                                                          \
     .target = (void *)&(variable),                                                                \
     .argument = "DIR",                                                                            \
     .help = "folder of the models (default: $SCTD_MODELS_DIR, else /var/lib/sctd/models)"}
#define CMD_BACKEND_OPTION(variable)                                                               \
    {.name = "backend",                                                                            \
     .kind = OPTION_CHOICE,                                                                        \
     .target = (void *)&(variable),                                                                \
     .argument = "BACKEND",                                                                        \
     .help = "auto (the GPU if there is one), cuda, cuda:N (the GPU of that number), cpu or ref "  \
             "(slow and plain); default auto",                                                     \
     .choices = OPTIONS_BACKENDS}
/* target: an int64_t. */
#define CMD_GPU_MEMORY_OPTION(variable)                                                            \
    {.name = "gpu-memory",                                                                         \
     .kind = OPTION_NUMBER,                                                                        \
     .target = &(variable),                                                                        \
     .argument = "MIB",                                                                            \
     .help = "the most that may be taken of a GPU's memory; default 0: what is free there",        \
     .min = 0,                                                                                     \
     .max = 1048576}
#define CMD_PRECISION_OPTION(variable)                                                             \
    {.name = "precision",                                                                          \
     .kind = OPTION_CHOICE,                                                                        \
     .target = (void *)&(variable),                                                                \
     .argument = "PRECISION",                                                                      \
     .help = "auto, fp32, bf16, bf16x3 (CPU), fp16 or tf32 (GPU); default auto",                   \
     .choices = "auto|fp32|tf32|fp16|bf16|bf16x3"}
/* target: an int64_t. */
#define CMD_THREADS_OPTION(variable)                                                               \
    {.name = "threads",                                                                            \
     .kind = OPTION_NUMBER,                                                                        \
     .target = &(variable),                                                                        \
     .argument = "N",                                                                              \
     .help = "default 0: one for each processor",                                                  \
     .min = 0,                                                                                     \
     .max = 1024}
#define CMD_BATCH_OPTION(variable)                                                                 \
    {.name = "batch",                                                                              \
     .kind = OPTION_NUMBER,                                                                        \
     .target = &(variable),                                                                        \
     .argument = "N",                                                                              \
     .help = "slices in flight at once; default 0: the engine's choice",                           \
     .min = 0,                                                                                     \
     .max = 1024}
/* target: an int64_t. */
#define CMD_LIMIT_OPTION(variable)                                                                 \
    {.name = "limit",                                                                              \
     .kind = OPTION_NUMBER,                                                                        \
     .target = &(variable),                                                                        \
     .argument = "N",                                                                              \
     .help = "how many, the newest first; default 50",                                             \
     .min = 1,                                                                                     \
     .max = DB_PAGE_MAX}
/* target: a bool. */
#define CMD_JSON_OPTION(variable)                                                                  \
    {.name = "json", .kind = OPTION_FLAG, .target = &(variable), .help = "print facts as JSON"}
