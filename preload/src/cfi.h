/*
 * cfi.h - the rule of one code address, from the call frame information of the object it lies in.
 *
 * Formats: Linux Standard Base, "Exception Frames" (.eh_frame, .eh_frame_hdr); DWARF 4, section 6.4. Only what is found
 * through the binary search table of .eh_frame_hdr is used.
 */
#ifndef TIDEMARK_CFI_H
#define TIDEMARK_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a table being read. Past the end everything is 0 and `bad` is set. */
struct at_cfi_cursor {
  const uint8_t *at;
  const uint8_t *end;
  bool bad;
};

/* A table of one object: all that is read of it lies in [start, end). */
struct at_cfi_table {
  const uint8_t *header; /* .eh_frame_hdr */
  uint64_t start;
  uint64_t end;
};

/* What the entry of a function says of it. */
struct at_cfi_function {
  uint64_t first; /* address of its first instruction */
  uint64_t bytes;
  struct at_cfi_cursor common; /* instructions */
  struct at_cfi_cursor own;
  uint64_t code_align;
  int64_t data_align;
  uint8_t encoding; /* of addresses */
};

uint64_t at_cfi_u8(struct at_cfi_cursor *cursor);
uint64_t at_cfi_u16(struct at_cfi_cursor *cursor);
uint64_t at_cfi_u32(struct at_cfi_cursor *cursor);
uint64_t at_cfi_u64(struct at_cfi_cursor *cursor);
uint64_t at_cfi_unsigned(struct at_cfi_cursor *cursor); /* LEB128 */
int64_t at_cfi_signed(struct at_cfi_cursor *cursor);
struct at_cfi_cursor at_cfi_block(struct at_cfi_cursor *cursor); /* length, bytes */
/* An address in DW_EH_PE_* encoding; `data` is what DW_EH_PE_datarel counts from. */
uint64_t at_cfi_address(struct at_cfi_cursor *cursor, uint8_t encoding, uint64_t data);

/* false: no entry for the address, or one that cannot be read. */
bool at_cfi_find(const struct at_cfi_table *table, uint64_t address, struct at_cfi_function *function);

/* Rule (unwind-rule.h) of the instruction at `address`. */
uint64_t at_cfi_run(const struct at_cfi_function *function, uint64_t address);

/*
 * Rule of the call instruction whose last byte is at `address`; AT_RULE_POINTER when the table has no entry for it.
 */
uint64_t at_cfi_rule(const struct at_cfi_table *table, uint64_t address);

/* What an expression comes to: `base` + offset, or the word at `base` + inner, + offset. */
enum at_cfi_base { AT_CFI_NUMBER, AT_CFI_RSP, AT_CFI_RBP, AT_CFI_RBX };
struct at_cfi_value {
  enum at_cfi_base base;
  bool word;
  int64_t inner;
  int64_t offset;
};

/* false: the expression uses what cannot be followed. `address` stands for the program counter. */
bool at_cfi_evaluate(struct at_cfi_cursor expression, uint64_t address, struct at_cfi_value *value);

#endif
