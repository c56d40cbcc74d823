/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/act.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/base/attr.h"
#include "engine/base/json.h"
#include "server/api/context.h"
#include "server/control.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/operate.h"

void act_do(struct request *request, const struct act *act)
{
    static const int statuses[] = {[OPERATE_DONE] = 200,
                                   [OPERATE_NONE] = 404,
                                   [OPERATE_REFUSED] = 409,
                                   [OPERATE_FAILED] = 500};
    struct api *api = api_of(request);
    const struct operate operate = {.db = api->node.db,
                                    .intake = api->node.intake,
                                    .batches = api->node.batches,
                                    .actor = request->who.name};
    struct control_request wish = {.id = request->found.id, .value = act->value};
    struct control_answer answer = {.done = false};
    (void)snprintf(wish.action, sizeof wish.action, "%s", act->action);
    (void)snprintf(wish.reason, sizeof wish.reason, "%s", act->reason);
    const enum operate_outcome outcome = operate_do(&operate, &wish, &answer);
    if (outcome == OPERATE_DONE) {
        api->node.kick(api->node.arg);
        reply_done(&request->reply, act->done);
    } else {
        reply_problem(&request->reply, statuses[outcome], "%s", answer.text);
    }
}

bool act_read_reason(struct request *request, char *ret_reason, size_t size)
{
    static const char *const keys[] = {"reason"};
    sctd_auto(json_freep) struct json *json = NULL;
    return request_get_json(request, keys, 1, false, &json) &&
           request_get_member(request, json, "reason", ret_reason, size);
}

void act_for_reason(struct request *request, const char *action, const char *done)
{
    struct act act = {.action = action, .done = done};
    if (act_read_reason(request, act.reason, sizeof act.reason)) {
        act_do(request, &act);
    }
}
