/* SPDX-License-Identifier: Apache-2.0 */
/* Browsers log in with a token, and get a cookie that no page can read. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"
#include "server/http/access.h"
#include "server/http/dispatch.h"
#include "server/http/rate.h"
#include "server/http/reply.h"
#include "server/http/request.h"

static void write_who(struct request *request)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct access_who *who = &request->who;
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_string(&w, "name", who->name);
    json_write_string(&w, "role", access_role_name(who->role));
    json_write_bool(&w, "identity", who->identity);
    json_write_string(&w, "csrf", who->csrf);
    request->reply.secret = true;
    reply_end_json(&request->reply, &w);
}

void api_session(struct request *request)
{
    write_who(request);
}

static void set_cookie(struct request *request, const char *secret, bool ends)
{
    (void)snprintf(request->reply.cookie, sizeof request->reply.cookie,
                   "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
                   request->is_tls ? DISPATCH_TLS_COOKIE : DISPATCH_COOKIE, secret,
                   request->is_tls ? "; Secure" : "", ends ? "; Max-Age=0" : "");
}

void api_login(struct request *request)
{
    static const char *const keys[] = {"token"};
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    char token[128 * 4 + 1];
    char secret[ACCESS_SECRET_SIZE];
    sctd_auto(json_freep) struct json *json = NULL;
    if (!request_get_json(request, keys, 1, true, &json) ||
        !request_get_member(request, json, "token", token, sizeof token)) {
        return;
    }
    if (token[0] == '\0') {
        reply_problem(&request->reply, 400, "the body: \"token\" is missing");
        return;
    }
    const int64_t now_ms = sctd_boot_ms();
    const int64_t wait_ms = rate_ask(api->failures, request->address, now_ms);
    const int r =
        wait_ms > 0 ? 0 : access_login(api->access, token, now_ms, secret, &request->who, &err);
    if (r < 0) {
        reply_error(&request->reply, &err);
    } else if (wait_ms > 0) {
        request->reply.retry_after_s = (int32_t)(wait_ms / 1000 + 1);
        reply_problem(&request->reply, 429, "too many tokens that were none: wait %d s",
                      request->reply.retry_after_s);
    } else if (r == 0) {
        (void)rate_take(api->failures, request->address, now_ms);
        api_note(request, "login-refused", request->address, "a token that is none");
        reply_problem(&request->reply, 401, "this token is not known here");
    } else {
        set_cookie(request, secret, false);
        api_note(request, "login", request->address, access_role_name(request->who.role));
        write_who(request);
    }
}

void api_logout(struct request *request)
{
    struct api *api = api_of(request);
    char secret[ACCESS_SECRET_SIZE];
    dispatch_find_cookie(request, secret);
    access_logout(api->access, secret);
    set_cookie(request, "", true);
    api_note(request, "logout", request->address, "");
    request->reply.status = 204;
}
