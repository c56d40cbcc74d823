/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "server/cmd.h"

static const struct cmd commands[] = {
    {"model", cmd_model, "import, list, show and verify models"},
    {"convert", cmd_convert, "turn DICOM series in files into synthetic CT series"},
    {"evaluate", cmd_evaluate, "measure how far an sCT is from the CT"},
    {"infer", cmd_infer, "run a model on tensors in a file"},
    {"phantom", cmd_phantom, "make a series of a made-up patient"},
    {"bench", cmd_bench, "measure the engine's speed"},
    {"rules", cmd_rules, "check the configuration, and try its rules on files"},
    {"serve", cmd_serve, "run the daemon: receive, convert, deliver"},
    {"job", cmd_job, "list, show, cancel and retry jobs of the daemon"},
    {"series", cmd_series, "list the series that came in, complete or discard them"},
    {"reprocess", cmd_reprocess,
     "begin a batch of old series, from a PACS, a folder or what is held"},
    {"batch", cmd_batch, "list, show, pause, resume and cancel batches, and their reports"},
    {"token", cmd_token, "make a token for the HTTP API"},
    {"doctor", cmd_doctor, "check all that the daemon needs"},
    {"fetch", cmd_fetch, NULL},
    {"receive", cmd_receive, NULL},
    {"send", cmd_send, NULL},
    {"worker", cmd_worker, NULL},
    {"view", cmd_view, NULL},
    {NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    int status = CMD_OK;
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        (void)fprintf(stdout, "sctd %s\n", SCTD_VERSION);
    } else {
        status = cmd_dispatch("sctd", commands, argc, argv);
    }
    /* What is printed may be a fact that a script waits for: a full disk is a failure. */
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        (void)fprintf(stderr, "sctd: standard output cannot be written\n");
        status = status == CMD_OK ? CMD_FAILED : status;
    }
    return status;
}
