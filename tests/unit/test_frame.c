/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"

static struct sctd_error err;

struct pair {
    int near, far;
    struct frame_reader reader; /* of near */
};

static void open_pair(struct pair *p)
{
    int fd[2];
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    p->near = fd[0];
    p->far = fd[1];
    frame_reader_init(&p->reader, p->near);
}

static void close_pair(struct pair *p)
{
    frame_reader_fini(&p->reader);
    (void)close(p->near);
    if (p->far >= 0) {
        (void)close(p->far);
    }
}

static void close_far(struct pair *p)
{
    (void)close(p->far);
    p->far = -1;
}

/* {"text": "xxx..."} of `size` bytes in all. */
static struct sctd_buf text_of(size_t size)
{
    struct sctd_buf buf = sctd_buf_make((size_t)1 << 20);
    assert(sctd_buf_text(&buf, "{\"text\": \"", &err) == 0);
    while (buf.size < size - 2) {
        assert(sctd_buf_text(&buf, "x", &err) == 0);
    }
    assert(sctd_buf_text(&buf, "\"}", &err) == 0 && buf.size == size);
    return buf;
}

static void send_text(int fd, const char *text)
{
    struct sctd_buf buf = sctd_buf_make(FRAME_SIZE_MAX);
    assert(sctd_buf_text(&buf, text, &err) == 0);
    assert(frame_send(fd, &buf, -1, 0, &err) == 0);
    sctd_buf_fini(&buf);
}

static bool next_is(struct frame_reader *reader, const char *key, int64_t expected)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int64_t value = 0;
    assert(frame_next(reader, &json, &err) == 0);
    assert(json_get_int(&value, json, json_get_root(json), key, &err) == 0);
    return value == expected;
}

static void messages_come_out_as_they_went_in(void)
{
    struct pair p;
    struct json *json = NULL;
    open_pair(&p);
    assert(frame_next(&p.reader, &json, &err) == FRAME_MORE);
    for (int i = 0; i < 3; i++) {
        send_text(p.far, i == 0 ? "{\"a\": 0}" : i == 1 ? "{\"a\": 1}" : "{\"a\": 2}");
    }
    for (int i = 0; i < 3; i++) {
        assert(next_is(&p.reader, "a", i));
    }
    assert(frame_next(&p.reader, &json, &err) == FRAME_MORE);
    close_far(&p);
    assert(frame_next(&p.reader, &json, &err) == FRAME_END);
    close_pair(&p);
}

static void a_frame_of_single_bytes_is_put_together(void)
{
    static const char frame[] = "\0\0\0\7{\"a\":5}\0\0\0\7{\"a\":6}";
    struct pair p;
    struct json *json = NULL;
    open_pair(&p);
    for (size_t i = 0; i + 1 < sizeof frame; i++) {
        assert(i == 11 || frame_next(&p.reader, &json, &err) == FRAME_MORE);
        assert(write(p.far, frame + i, 1) == 1);
        assert(i != 10 || next_is(&p.reader, "a", 5));
    }
    assert(next_is(&p.reader, "a", 6));
    close_pair(&p);
}

static void what_is_no_frame_is_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\0\1\0\1{}", 6},        /* one byte beyond the limit */
        {"\xff\xff\xff\xff", 4},  /* all of them */
        {"\0\0\0\0", 4},          /* no JSON */
        {"\0\0\0\2[]", 6},        /* no object */
        {"\0\0\0\1{", 5},         /* cut JSON */
        {"\0\0\0\4{}{}", 8},      /* two of them */
        {"\0\0\0\4{\"\xff\"", 8}, /* no UTF-8 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pair p;
        struct json *json = NULL;
        open_pair(&p);
        assert(write(p.far, bad[i].bytes, bad[i].size) == (ssize_t)bad[i].size);
        assert(frame_next(&p.reader, &json, &err) == SCTD_EDATA && json == NULL);
        close_pair(&p);
    }
}

static void an_end_within_a_frame_is_an_error(void)
{
    for (ssize_t n = 1; n < 11; n++) {
        struct pair p;
        struct json *json = NULL;
        open_pair(&p);
        assert(write(p.far, "\0\0\0\7{\"a\":5}", (size_t)n) == n);
        close_far(&p);
        assert(frame_next(&p.reader, &json, &err) == SCTD_EDATA);
        close_pair(&p);
    }
}

static void the_largest_frame_passes_and_one_more_does_not(void)
{
    struct pair p;
    sctd_auto(json_freep) struct json *json = NULL;
    sctd_auto(sctd_buf_fini) struct sctd_buf most = text_of(FRAME_SIZE_MAX);
    sctd_auto(sctd_buf_fini) struct sctd_buf more = text_of(FRAME_SIZE_MAX + 1);
    open_pair(&p);
    assert(frame_send(p.far, &most, -1, 0, &err) == 0);
    assert(frame_next(&p.reader, &json, &err) == 0);
    assert(frame_send(p.far, &more, -1, 0, &err) == SCTD_EINVAL);
    close_pair(&p);
}

static void a_reader_that_does_not_read_is_not_waited_for(void)
{
    struct pair p;
    struct timespec from, to;
    sctd_auto(sctd_buf_fini) struct sctd_buf most = text_of(FRAME_SIZE_MAX);
    open_pair(&p);
    int r = 0;
    for (int i = 0; i < 1000 && r == 0; i++) {
        r = frame_send(p.far, &most, -1, 0, &err);
    }
    assert(r == SCTD_EIO);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    assert(frame_send(p.far, &most, -1, 60, &err) == SCTD_EIO);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    const double waited =
        (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    assert(waited > 50 && waited < 5000);
    close_pair(&p);
}

static void the_other_side_gone_is_an_error_and_no_signal(void)
{
    struct pair p;
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = text_of(64);
    open_pair(&p);
    (void)close(p.near);
    assert(frame_send(p.far, &buf, -1, 1000, &err) == SCTD_EIO);
    p.near = -1;
    close_pair(&p);
}

static void a_descriptor_comes_along(void)
{
    struct pair p;
    struct stat sent, got;
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = text_of(64);
    open_pair(&p);
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert(file >= 0 && fstat(file, &sent) == 0);
    for (int i = 0; i < 2; i++) { /* the first of two is closed where it is not taken */
        sctd_auto(json_freep) struct json *json = NULL;
        assert(frame_send(p.far, &buf, file, 0, &err) == 0);
        assert(frame_next(&p.reader, &json, &err) == 0);
    }
    const int fd = frame_take_fd(&p.reader);
    assert(fd >= 0 && fstat(fd, &got) == 0 && got.st_rdev == sent.st_rdev);
    assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert(frame_take_fd(&p.reader) == -1);
    (void)close(fd);
    (void)close(file);
    close_pair(&p);
}

static void *answer_later(void *arg)
{
    const struct timespec pause = {.tv_nsec = 30000000};
    (void)nanosleep(&pause, NULL);
    send_text(*(int *)arg, "{\"a\": 9}");
    return NULL;
}

static void waiting_ends_with_the_answer_or_the_time(void)
{
    struct pair p;
    pthread_t thread;
    struct json *json = NULL;
    open_pair(&p);
    assert(frame_wait(&p.reader, 20, &json, &err) == FRAME_MORE);
    assert(frame_wait(&p.reader, 0, &json, &err) == FRAME_MORE);
    assert(pthread_create(&thread, NULL, answer_later, &p.far) == 0);
    assert(frame_wait(&p.reader, -1, &json, &err) == 0);
    assert(pthread_join(thread, NULL) == 0);
    json_free(json);
    close_far(&p);
    assert(frame_wait(&p.reader, -1, &json, &err) == FRAME_END);
    close_pair(&p);
}

int main(void)
{
    messages_come_out_as_they_went_in();
    a_frame_of_single_bytes_is_put_together();
    what_is_no_frame_is_refused();
    an_end_within_a_frame_is_an_error();
    the_largest_frame_passes_and_one_more_does_not();
    a_reader_that_does_not_read_is_not_waited_for();
    the_other_side_gone_is_an_error_and_no_signal();
    a_descriptor_comes_along();
    waiting_ends_with_the_answer_or_the_time();
    return 0;
}
