#include "modules-elf.h"

#include <elf.h>
#include <link.h>
#include <string.h>

static bool inside(const struct at_object *object, uint64_t address, uint64_t bytes) {
  return address >= object->start && address <= object->end && bytes <= object->end - address;
}

/* First of the program headers, NULL when they are not where the object is mapped. */
static const ElfW(Phdr) *segments(const struct at_object *object, uint32_t *count) {
  const ElfW(Ehdr) *file = (const ElfW(Ehdr) *)(uintptr_t)object->start;
  if (!inside(object, object->start, sizeof *file) || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0) return NULL;
  if (file->e_phentsize != sizeof(ElfW(Phdr)) || file->e_phoff >= object->end - object->start) return NULL;
  uint64_t first = object->start + file->e_phoff;
  if (first % sizeof(uint64_t) != 0 || !inside(object, first, (uint64_t)file->e_phnum * sizeof(ElfW(Phdr)))) return NULL;
  *count = file->e_phnum;
  return (const ElfW(Phdr) *)(uintptr_t)first;
}

static uint64_t aligned(uint64_t value, uint64_t to) { return (value + to - 1) & ~(to - 1); }

static uint32_t build_id_in(uint64_t address, uint64_t bytes, uint64_t align, uint8_t *id, uint32_t limit) {
  const uint8_t *notes = (const uint8_t *)(uintptr_t)address;
  ElfW(Nhdr) note;
  for (uint64_t at = 0; at + sizeof note <= bytes;) {
    memcpy(&note, notes + at, sizeof note);
    uint64_t name = at + sizeof note;
    uint64_t content = aligned(name + note.n_namesz, align);
    if (content > bytes || note.n_descsz > bytes - content) return 0;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0) {
      uint32_t copied = note.n_descsz < limit ? note.n_descsz : limit;
      memcpy(id, notes + content, copied);
      return copied;
    }
    at = aligned(content + note.n_descsz, align);
  }
  return 0;
}

uint32_t at_elf_build_id(const struct at_object *object, uint8_t *id, uint32_t limit) {
  uint32_t count = 0;
  const ElfW(Phdr) *segment = segments(object, &count);
  if (segment == NULL) return 0;
  for (uint32_t i = 0; i < count; i++) {
    if (segment[i].p_type != PT_NOTE) continue;
    uint64_t address = object->bias + segment[i].p_vaddr;
    if (!inside(object, address, segment[i].p_memsz)) continue;
    uint32_t copied = build_id_in(address, segment[i].p_memsz, segment[i].p_align == 8 ? 8 : 4, id, limit);
    if (copied != 0) return copied;
  }
  return 0;
}
