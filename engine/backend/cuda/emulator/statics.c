/* SPDX-License-Identifier: Apache-2.0 */
/* Where a static variable begins and ends: the program's own symbols say so. */
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/backend/cuda/emulator/machine.h"

/* Where the linker's addresses begin. */
extern const unsigned char statics_program[] __asm__("__executable_start");

static const void *map_program(void)
{
    struct stat s;
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) != 0) {
        machine_fail("cannot read the program");
    }
    const void *map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED) {
        machine_fail("cannot map the program");
    }
    return map;
}

static const void *place_in(const void *file, size_t offset)
{
    return (const unsigned char *)file + offset;
}

static const Elf64_Shdr *find_symbols(const void *file)
{
    const Elf64_Ehdr *header = file;
    const Elf64_Shdr *section = place_in(file, header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++) {
        if (section[i].sh_type == SHT_SYMTAB) {
            return &section[i];
        }
    }
    machine_fail("the program has no symbols");
}

struct range statics_find(const void *address)
{
    static const void *file;
    file = file == NULL ? map_program() : file;
    const Elf64_Ehdr *header = file;
    const Elf64_Shdr *symbols = find_symbols(file);
    const Elf64_Sym *symbol = place_in(file, symbols->sh_offset);
    const uintptr_t moved = header->e_type == ET_DYN ? (uintptr_t)statics_program : 0;
    for (size_t i = 0; i < symbols->sh_size / sizeof *symbol; i++) {
        const uintptr_t first = moved + symbol[i].st_value;
        if (ELF64_ST_TYPE(symbol[i].st_info) == STT_OBJECT &&
            (uintptr_t)address - first < symbol[i].st_size) {
            return (struct range){first, symbol[i].st_size};
        }
    }
    machine_fail("no variable is at %p", address);
}
