/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/pickle_machine.h"

#include <stdint.h>
#include <stdio.h>

#include "engine/base/error.h"
#include "engine/model/little_endian.h"
#include "engine/model/pickle.h"
#include "engine/model/pickle_value.h"

enum { ROOM_MIN = 64 };

void pickle_machine_fini(struct pickle_machine *m)
{
    struct pickle_heap *heap = &m->pickle->heap;
    pickle_heap_release(heap, m->stack, sizeof *m->stack, m->room);
    pickle_heap_release(heap, m->memo, sizeof *m->memo, m->n_memo);
}

struct pickle_place pickle_place(const struct pickle_machine *m)
{
    struct pickle_place p;
    if (snprintf(p.text, sizeof p.text, "%s at offset %zu", m->name, m->file_offset + m->at) < 0) {
        p.text[0] = '\0';
    }
    return p;
}

int pickle_take(struct pickle_machine *m, size_t n, const uint8_t **ret_p, struct sctd_error *err)
{
    if (n > m->size - m->pos) {
        if (m->size == PICKLE_BYTES_MAX) {
            return sctd_error(err, SCTD_EDATA, "pickle: %s: longer than %d bytes",
                              pickle_place(m).text, PICKLE_BYTES_MAX);
        }
        return sctd_error(err, SCTD_EDATA, "pickle: %s: truncated, %zu bytes wanted, %zu left",
                          pickle_place(m).text, n, m->size - m->pos);
    }
    *ret_p = m->bytes + m->pos;
    m->pos += n;
    return 0;
}

int pickle_take_u8(struct pickle_machine *m, uint32_t *ret_value, struct sctd_error *err)
{
    const uint8_t *p = NULL;
    int r = pickle_take(m, 1, &p, err);
    if (r == 0) {
        *ret_value = *p;
    }
    return r;
}

int pickle_take_u32(struct pickle_machine *m, uint32_t *ret_value, struct sctd_error *err)
{
    const uint8_t *p = NULL;
    int r = pickle_take(m, 4, &p, err);
    if (r == 0) {
        *ret_value = little_endian_load32(p);
    }
    return r;
}

int pickle_push(struct pickle_machine *m, struct pickle_value value, struct sctd_error *err)
{
    if (m->n == m->room) {
        const size_t room = m->room < ROOM_MIN ? ROOM_MIN : m->room + m->room / 2;
        void *stack = m->stack;
        int r = pickle_heap_resize(&m->pickle->heap, &stack, sizeof *m->stack, m->room, room, err);
        if (r < 0) {
            return r;
        }
        m->stack = stack;
        m->room = room;
    }
    m->stack[m->n++] = value;
    return 0;
}

int pickle_push_number(struct pickle_machine *m, enum pickle_kind kind, int64_t number,
                       struct sctd_error *err)
{
    return pickle_push(m, (struct pickle_value){.kind = kind, .u.number = number}, err);
}

int pickle_push_node(struct pickle_machine *m, enum pickle_kind kind, struct pickle_node *node,
                     struct sctd_error *err)
{
    return pickle_push(m, (struct pickle_value){.kind = kind, .u.node = node}, err);
}

int pickle_top(struct pickle_machine *m, struct pickle_value *ret_value, struct sctd_error *err)
{
    if (m->n == 0 || m->stack[m->n - 1].kind == PICKLE_MARK) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: nothing on the stack",
                          pickle_place(m).text);
    }
    *ret_value = m->stack[m->n - 1];
    return 0;
}

int pickle_pop(struct pickle_machine *m, struct pickle_value *ret_value, struct sctd_error *err)
{
    int r = pickle_top(m, ret_value, err);
    if (r == 0) {
        m->n--;
    }
    return r;
}

int pickle_top_of(struct pickle_machine *m, enum pickle_kind kind, struct pickle_value *ret_value,
                  struct sctd_error *err)
{
    struct pickle_value value;
    int r = pickle_top(m, &value, err);
    if (r < 0) {
        return r;
    }
    if (value.kind != kind) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: a %s where a %s belongs",
                          pickle_place(m).text, pickle_kind_name(value.kind),
                          pickle_kind_name(kind));
    }
    *ret_value = value;
    return 0;
}

int pickle_pop_mark(struct pickle_machine *m, const struct pickle_value **ret_items,
                    uint32_t *ret_n, struct sctd_error *err)
{
    size_t at = m->n;
    while (at > 0 && m->stack[at - 1].kind != PICKLE_MARK) {
        at--;
    }
    if (at == 0) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: no mark on the stack",
                          pickle_place(m).text);
    }
    *ret_items = m->stack + at;
    *ret_n = (uint32_t)(m->n - at); /* below PICKLE_BYTES_MAX */
    m->n = at - 1;
    return 0;
}

int pickle_memo_put(struct pickle_machine *m, uint32_t index, struct sctd_error *err)
{
    struct pickle_value value;
    int r = pickle_top(m, &value, err);
    if (r < 0) {
        return r;
    }
    /* Picklers count from 0, one for each PUT, so an honest index is less than the bytes so far. */
    if (index >= m->pos) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: memo index %u is out of range",
                          pickle_place(m).text, index);
    }
    if (index >= m->n_memo) {
        const size_t grown = m->n_memo + m->n_memo / 2;
        const size_t n = grown > index ? grown : (size_t)index + ROOM_MIN;
        void *memo = m->memo;
        r = pickle_heap_resize(&m->pickle->heap, &memo, sizeof *m->memo, m->n_memo, n, err);
        if (r < 0) {
            return r;
        }
        m->memo = memo;
        for (size_t i = m->n_memo; i < n; i++) {
            m->memo[i] = (struct pickle_value){.kind = PICKLE_MARK};
        }
        m->n_memo = n;
    }
    m->memo[index] = value;
    return 0;
}

int pickle_memo_get(struct pickle_machine *m, uint32_t index, struct sctd_error *err)
{
    if (index >= m->n_memo || m->memo[index].kind == PICKLE_MARK) {
        return sctd_error(err, SCTD_EDATA, "pickle: %s: nothing is kept at memo index %u",
                          pickle_place(m).text, index);
    }
    return pickle_push(m, m->memo[index], err);
}
