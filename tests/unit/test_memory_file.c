/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "server/memory_file.h"

static struct sctd_error err;

static void check_length(size_t size)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(1 << 20);
    sctd_auto(sctd_buf_fini) struct sctd_buf again = sctd_buf_make(1 << 20);
    int fd = -1;
    for (size_t k = 0; k < size; k++) {
        const char c = (char)(k * 31);
        assert(sctd_buf_append(&text, &c, 1, &err) == 0);
    }
    assert(memory_file_write(&fd, &text, &err) == 0);
    assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert(memory_file_read(&again, fd, &err) == 0);
    assert(again.size == size);
    assert(size == 0 || memcmp(again.data, text.data, size) == 0);
    (void)close(fd);
}

static void any_length_comes_back_as_it_was(void)
{
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_length(sizes[i]);
    }
}

static void it_is_read_from_its_start_by_everybody_and_after_what_is_there(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(64);
    int fd = -1;
    assert(sctd_buf_text(&text, "one", &err) == 0);
    assert(memory_file_write(&fd, &text, &err) == 0);
    assert(memory_file_read(&text, fd, &err) == 0);
    assert(memory_file_read(&text, fd, &err) == 0);
    assert(strcmp(sctd_buf_get_text(&text), "oneoneone") == 0);
    (void)close(fd);
}

static void more_than_the_buffer_may_hold_is_refused(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf small = sctd_buf_make(1000);
    const int endless = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert(endless >= 0);
    assert(memory_file_read(&small, endless, &err) == SCTD_EINVAL);
    (void)close(endless);
}

static void what_is_no_file_is_an_error(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(1000);
    int pair[2];
    assert(memory_file_read(&text, -1, &err) == SCTD_EIO);
    assert(pipe2(pair, O_CLOEXEC) == 0);
    assert(memory_file_read(&text, pair[0], &err) == SCTD_EIO);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void what_is_sealed_cannot_be_changed_and_has_the_size_it_says(void)
{
    static const char text[] = "sealed";
    char again[sizeof text];
    int fd = -1;
    assert(memory_file_seal(&fd, text, sizeof text, &err) == 0);
    assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert(pwrite(fd, "S", 1, 0) < 0 && ftruncate(fd, 1) < 0 && ftruncate(fd, 99) < 0);
    assert(memory_file_read_sealed(again, sizeof again, fd, &err) == 0);
    assert(memcmp(again, text, sizeof text) == 0);
    assert(memory_file_read_sealed(again, sizeof again - 1, fd, &err) == SCTD_EDATA);
    (void)close(fd);
}

static void what_is_not_sealed_is_not_read_as_if_it_were(void)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(64);
    char again[3];
    int fd = -1;
    assert(sctd_buf_text(&text, "one", &err) == 0);
    assert(memory_file_write(&fd, &text, &err) == 0);
    assert(memory_file_read_sealed(again, sizeof again, fd, &err) == SCTD_EDATA);
    assert(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    assert(memory_file_read_sealed(again, sizeof again, fd, &err) == SCTD_EDATA);
    (void)close(fd);
    const int endless = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert(memory_file_read_sealed(again, sizeof again, endless, &err) == SCTD_EDATA);
    assert(memory_file_read_sealed(again, sizeof again, -1, &err) == SCTD_EDATA);
    (void)close(endless);
}

int main(void)
{
    any_length_comes_back_as_it_was();
    it_is_read_from_its_start_by_everybody_and_after_what_is_there();
    more_than_the_buffer_may_hold_is_refused();
    what_is_no_file_is_an_error();
    what_is_sealed_cannot_be_changed_and_has_the_size_it_says();
    what_is_not_sealed_is_not_read_as_if_it_were();
    return 0;
}
