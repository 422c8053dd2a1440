#include "cfi.h"

#include <string.h>

#include "unwind-rule.h"

#define ENCODING_OMIT 0xffu
#define ENCODING_INDIRECT 0x80u
#define SEARCH_TABLE 0x3bu /* DW_EH_PE_datarel | DW_EH_PE_sdata4: pairs that can be searched */

static uint64_t take(struct at_cfi_cursor *cursor, size_t bytes) {
  uint64_t value = 0;
  if ((size_t)(cursor->end - cursor->at) < bytes) {
    cursor->bad = true;
    cursor->at = cursor->end;
    return 0;
  }
  memcpy(&value, cursor->at, bytes);
  cursor->at += bytes;
  return value;
}

uint64_t at_cfi_u8(struct at_cfi_cursor *cursor) { return take(cursor, 1); }
uint64_t at_cfi_u16(struct at_cfi_cursor *cursor) { return take(cursor, 2); }
uint64_t at_cfi_u32(struct at_cfi_cursor *cursor) { return take(cursor, 4); }
uint64_t at_cfi_u64(struct at_cfi_cursor *cursor) { return take(cursor, 8); }

uint64_t at_cfi_unsigned(struct at_cfi_cursor *cursor) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint64_t byte = take(cursor, 1);
    if (shift < 64) value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
}

int64_t at_cfi_signed(struct at_cfi_cursor *cursor) {
  uint64_t value = 0;
  for (unsigned shift = 0;;) {
    uint64_t byte = take(cursor, 1);
    if (shift < 64) value |= (byte & 0x7f) << shift;
    shift += 7;
    if ((byte & 0x80) != 0) continue;
    if (shift < 64 && (byte & 0x40) != 0) value |= ~(uint64_t)0 << shift;
    return (int64_t)value;
  }
}

struct at_cfi_cursor at_cfi_block(struct at_cfi_cursor *cursor) {
  uint64_t bytes = at_cfi_unsigned(cursor);
  if (bytes > (uint64_t)(cursor->end - cursor->at)) {
    cursor->bad = true;
    bytes = 0;
  }
  struct at_cfi_cursor block = {cursor->at, cursor->at + bytes, false};
  cursor->at += bytes;
  return block;
}

uint64_t at_cfi_address(struct at_cfi_cursor *cursor, uint8_t encoding, uint64_t data) {
  uint64_t place = (uint64_t)(uintptr_t)cursor->at;
  uint64_t value;
  switch (encoding & 0x0f) {
    case 0x00: /* absptr */
    case 0x04: /* udata8 */
    case 0x0c: /* sdata8 */
      value = at_cfi_u64(cursor);
      break;
    case 0x01:
      value = at_cfi_unsigned(cursor);
      break;
    case 0x02:
      value = at_cfi_u16(cursor);
      break;
    case 0x03:
      value = at_cfi_u32(cursor);
      break;
    case 0x09:
      value = (uint64_t)at_cfi_signed(cursor);
      break;
    case 0x0a:
      value = (uint64_t)(int64_t)(int16_t)at_cfi_u16(cursor);
      break;
    case 0x0b:
      value = (uint64_t)(int64_t)(int32_t)at_cfi_u32(cursor);
      break;
    default:
      cursor->bad = true;
      return 0;
  }
  switch (encoding & 0x70) {
    case 0x00:
      break;
    case 0x10: /* pcrel */
      value += place;
      break;
    case 0x30: /* datarel */
      value += data;
      break;
    default:
      cursor->bad = true;
  }
  if ((encoding & ENCODING_INDIRECT) != 0) cursor->bad = true;
  return value;
}

/* Content of the record at `address`, without its length. */
static struct at_cfi_cursor record_at(const struct at_cfi_table *table, uint64_t address) {
  struct at_cfi_cursor record = {NULL, NULL, true};
  if (address < table->start || address >= table->end || table->end - address < 8) return record;
  record.at = (const uint8_t *)(uintptr_t)address;
  record.end = record.at + 4;
  record.bad = false;
  uint64_t bytes = at_cfi_u32(&record);
  /* 0 ends the section; 0xffffffff starts a 64-bit record, which no linker makes */
  if (bytes < 4 || bytes >= 0xfffffff0u || bytes > table->end - address - 4) record.bad = true;
  else record.end = record.at + bytes;
  return record;
}

/* Address of the record (FDE) that may hold `address`; 0: none. */
static uint64_t search(const struct at_cfi_table *table, uint64_t address) {
  uint64_t base = (uint64_t)(uintptr_t)table->header;
  if (base < table->start || base >= table->end) return 0;
  struct at_cfi_cursor header = {table->header, (const uint8_t *)(uintptr_t)table->end, false};
  if (at_cfi_u8(&header) != 1) return 0;
  uint8_t section_encoding = (uint8_t)at_cfi_u8(&header);
  uint8_t count_encoding = (uint8_t)at_cfi_u8(&header);
  uint8_t table_encoding = (uint8_t)at_cfi_u8(&header);
  if (count_encoding == ENCODING_OMIT || table_encoding != SEARCH_TABLE) return 0;
  if (section_encoding != ENCODING_OMIT) at_cfi_address(&header, section_encoding, base);
  uint64_t count = at_cfi_address(&header, count_encoding, base);
  if (header.bad || count == 0 || count > (uint64_t)(header.end - header.at) / 8) return 0;

  const uint8_t *pairs = header.at;
  int64_t wanted = (int64_t)(address - base);
  uint64_t low = 0;
  for (uint64_t high = count; high - low > 1;) {
    uint64_t middle = low + (high - low) / 2;
    int32_t first;
    memcpy(&first, pairs + middle * 8, 4);
    if (first <= wanted) low = middle;
    else high = middle;
  }
  int32_t pair[2];
  memcpy(pair, pairs + low * 8, 8);
  return pair[0] <= wanted ? base + (uint64_t)(int64_t)pair[1] : 0;
}

/* What the common record (CIE) says. */
static bool read_common(struct at_cfi_cursor record, struct at_cfi_function *function, bool *sized) {
  if (record.bad || at_cfi_u32(&record) != 0) return false;
  uint64_t version = at_cfi_u8(&record);
  if (version != 1 && version != 3) return false;
  const char *letters = (const char *)record.at;
  while (!record.bad && at_cfi_u8(&record) != 0) continue;
  function->code_align = at_cfi_unsigned(&record);
  function->data_align = at_cfi_signed(&record);
  if (version == 1) at_cfi_u8(&record);
  else at_cfi_unsigned(&record);
  function->encoding = 0;
  *sized = letters[0] == 'z';
  if (!*sized) {
    function->common = record;
    return !record.bad && letters[0] == 0;
  }
  struct at_cfi_cursor extra = at_cfi_block(&record);
  for (const char *letter = letters + 1; *letter != 0; letter++) {
    if (*letter == 'R') function->encoding = (uint8_t)at_cfi_u8(&extra);
    else if (*letter == 'L') at_cfi_u8(&extra);
    else if (*letter == 'P') {
      uint8_t encoding = (uint8_t)at_cfi_u8(&extra);
      at_cfi_address(&extra, encoding & 0x0fu, 0); /* only its width matters */
    } else if (*letter != 'S' && *letter != 'B') break; /* what follows is not known; its size is */
  }
  function->common = record;
  return !record.bad && !extra.bad;
}

bool at_cfi_find(const struct at_cfi_table *table, uint64_t address, struct at_cfi_function *function) {
  uint64_t place = search(table, address);
  struct at_cfi_cursor record = record_at(table, place);
  if (record.bad) return false;
  uint64_t back = at_cfi_u32(&record);
  if (back == 0 || back > place + 4) return false;
  bool sized = false;
  if (!read_common(record_at(table, place + 4 - back), function, &sized)) return false;
  function->first = at_cfi_address(&record, function->encoding, (uint64_t)(uintptr_t)table->header);
  function->bytes = at_cfi_address(&record, function->encoding & 0x0fu, 0);
  if (sized) at_cfi_block(&record);
  function->own = record;
  return !record.bad && address - function->first < function->bytes;
}

uint64_t at_cfi_rule(const struct at_cfi_table *table, uint64_t address) {
  struct at_cfi_function function;
  if (table->header == NULL) return AT_RULE_POINTER;
  if (at_cfi_find(table, address, &function)) return at_cfi_run(&function, address);
  /* No call lies before a function's first instruction: who returns there was put on the stack by makecontext or its like. */
  if (at_cfi_find(table, address + 1, &function) && function.first == address + 1) return AT_RULE_END;
  return AT_RULE_POINTER;
}
