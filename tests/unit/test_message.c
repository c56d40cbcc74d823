/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/message.h"
#include "server/record.h"

struct thing {
    int32_t number;
    char text[8];
};

static const struct record_field number[] = {
    RECORD_FIELD(RECORD_I32, struct thing, number, "number")};
static const struct record_field text[] = {RECORD_FIELD(RECORD_TEXT, struct thing, text, "text")};
static const struct message_type types[] = {
    {"nothing", {NULL, 0}}, {"number", {number, 1}}, {"text", {text, 1}}};
enum { TYPES = 3 };

static struct sctd_error err;

static int read_json(struct thing *ret_thing, size_t *ret_type, const char *json_text)
{
    sctd_auto(json_freep) struct json *json = NULL;
    assert(json_parse(&json, json_text, strlen(json_text), &err) == 0);
    return message_read(ret_thing, ret_type, types, TYPES, json, &err);
}

static void each_type_comes_back_with_its_fields_and_descriptor(void)
{
    int fd[2];
    struct frame_reader reader;
    const struct thing sent = {.number = INT32_MIN, .text = "caf\xc3\xa9"};
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    for (size_t i = 0; i < TYPES; i++) {
        sctd_auto(json_freep) struct json *json = NULL;
        struct thing got = {.number = 5, .text = "-"};
        size_t type = 99;
        assert(message_send(fd[0], &types[i], &sent, i == 1 ? fd[0] : -1, 0, &err) == 0);
        assert(frame_next(&reader, &json, &err) == 0);
        assert(message_read(&got, &type, types, TYPES, json, &err) == 0 && type == i);
        assert(got.number == (i == 1 ? INT32_MIN : 5));
        assert(strcmp(got.text, i == 2 ? sent.text : "-") == 0);
        const int passed = frame_take_fd(&reader);
        assert((passed >= 0) == (i == 1));
        if (passed >= 0) {
            (void)close(passed);
        }
    }
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void what_is_none_of_the_types_is_refused(void)
{
    static const char *const texts[] = {
        "{}",
        "{\"type\":7}",
        "{\"type\":\"\"}",
        "{\"type\":\"numbe\"}",
        "{\"type\":\"number\"}",
        "{\"type\":\"number\",\"number\":\"1\"}",
        "{\"type\":\"number\",\"number\":2147483648}",
        "{\"type\":\"number\",\"number\":1.5}",
        "{\"type\":\"text\",\"text\":\"12345678\"}",
        "{\"type\":\"text\",\"number\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct thing got;
        size_t type = 99;
        assert(read_json(&got, &type, texts[i]) == SCTD_EDATA);
    }
    struct thing got;
    size_t type = 99;
    assert(read_json(&got, &type, "{\"text\":\"1234567\",\"type\":\"text\"}") == 0 && type == 2);
}

static void a_peer_that_has_gone_is_an_error(void)
{
    int fd[2];
    const struct thing thing = {.number = 1};
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    (void)close(fd[1]);
    assert(message_send(fd[0], &types[1], &thing, -1, 0, &err) == SCTD_EIO);
    (void)close(fd[0]);
}

static void a_text_that_is_no_utf8_is_not_sent(void)
{
    int fd[2];
    char byte = 0;
    const struct thing thing = {.text = "\xff"};
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    assert(message_send(fd[0], &types[2], &thing, -1, 0, &err) == SCTD_EINVAL);
    assert(recv(fd[1], &byte, 1, MSG_DONTWAIT) < 0);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

int main(void)
{
    each_type_comes_back_with_its_fields_and_descriptor();
    what_is_none_of_the_types_is_refused();
    a_peer_that_has_gone_is_an_error();
    a_text_that_is_no_utf8_is_not_sent();
    return 0;
}
