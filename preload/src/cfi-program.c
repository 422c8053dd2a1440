#include <string.h>

#include "cfi.h"
#include "unwind-rule.h"

/* DWARF 4, 7.23, and the one extension that compilers use. */
enum {
  CFA_NOP = 0x00,
  CFA_SET_LOC = 0x01,
  CFA_ADVANCE_LOC1 = 0x02,
  CFA_ADVANCE_LOC2 = 0x03,
  CFA_ADVANCE_LOC4 = 0x04,
  CFA_OFFSET_EXTENDED = 0x05,
  CFA_RESTORE_EXTENDED = 0x06,
  CFA_UNDEFINED = 0x07,
  CFA_SAME_VALUE = 0x08,
  CFA_REGISTER = 0x09,
  CFA_REMEMBER_STATE = 0x0a,
  CFA_RESTORE_STATE = 0x0b,
  CFA_DEF_CFA = 0x0c,
  CFA_DEF_CFA_REGISTER = 0x0d,
  CFA_DEF_CFA_OFFSET = 0x0e,
  CFA_DEF_CFA_EXPRESSION = 0x0f,
  CFA_EXPRESSION = 0x10,
  CFA_OFFSET_EXTENDED_SF = 0x11,
  CFA_DEF_CFA_SF = 0x12,
  CFA_DEF_CFA_OFFSET_SF = 0x13,
  CFA_VAL_OFFSET = 0x14,
  CFA_VAL_OFFSET_SF = 0x15,
  CFA_VAL_EXPRESSION = 0x16,
  CFA_GNU_ARGS_SIZE = 0x2e,
};

enum { REGISTER_RBX = 3, REGISTER_RBP = 6, REGISTER_RSP = 7, REGISTER_RIP = 16, REGISTER_EXPRESSION = 255 };

enum place_kind { PLACE_SAME, PLACE_OFFSET, PLACE_EXPRESSION, PLACE_UNDEFINED, PLACE_OTHER };

/* Where a register was saved. */
struct place {
  uint8_t kind;
  int32_t offset; /* from the CFA */
  struct at_cfi_cursor expression;
};

enum { COLUMN_RBX, COLUMN_RBP, COLUMN_RIP, COLUMNS };

struct row {
  uint8_t cfa_register;
  int64_t cfa_offset;
  struct at_cfi_cursor cfa_expression;
  struct place places[COLUMNS];
};

#define REMEMBERED_LIMIT 4u

struct run {
  const struct at_cfi_function *function;
  uint64_t location;
  uint64_t address;
  struct row row;
  struct row first; /* after the common instructions */
  struct row remembered[REMEMBERED_LIMIT];
  uint32_t remembered_count;
  bool lost;
  bool done;
};

static struct place *column(struct run *run, uint64_t number) {
  switch (number) {
    case REGISTER_RBX: return &run->row.places[COLUMN_RBX];
    case REGISTER_RBP: return &run->row.places[COLUMN_RBP];
    case REGISTER_RIP: return &run->row.places[COLUMN_RIP];
    default: return NULL;
  }
}

static void set(struct run *run, uint64_t number, enum place_kind kind, int64_t offset) {
  struct place *place = column(run, number);
  if (place == NULL) return;
  place->kind = (uint8_t)kind;
  place->offset = (int32_t)offset;
  if (offset != (int32_t)offset) place->kind = PLACE_OTHER;
}

static void restore(struct run *run, uint64_t number) {
  struct place *place = column(run, number);
  if (place != NULL) *place = run->first.places[place - run->row.places];
}

static void advance(struct run *run, uint64_t units) {
  uint64_t next = run->location + units * run->function->code_align;
  if (next > run->address) run->done = true;
  else run->location = next;
}

static void set_cfa(struct run *run, uint64_t number, int64_t offset) {
  run->row.cfa_register = number < REGISTER_EXPRESSION ? (uint8_t)number : REGISTER_EXPRESSION - 1;
  run->row.cfa_offset = offset;
}

static void remember(struct run *run) {
  if (run->remembered_count == REMEMBERED_LIMIT) run->lost = true;
  else run->remembered[run->remembered_count++] = run->row;
}

static void recall(struct run *run) {
  if (run->remembered_count == 0) run->lost = true;
  else run->row = run->remembered[--run->remembered_count];
}

/* Instructions that set where a register is; false: it is none of them. */
static bool save(struct run *run, struct at_cfi_cursor *at, uint64_t code) {
  int64_t scale = run->function->data_align;
  uint64_t number;
  switch (code) {
    case CFA_OFFSET_EXTENDED:
      number = at_cfi_unsigned(at);
      set(run, number, PLACE_OFFSET, (int64_t)at_cfi_unsigned(at) * scale);
      return true;
    case CFA_OFFSET_EXTENDED_SF:
      number = at_cfi_unsigned(at);
      set(run, number, PLACE_OFFSET, at_cfi_signed(at) * scale);
      return true;
    case CFA_RESTORE_EXTENDED: restore(run, at_cfi_unsigned(at)); return true;
    case CFA_UNDEFINED: set(run, at_cfi_unsigned(at), PLACE_UNDEFINED, 0); return true;
    case CFA_SAME_VALUE: set(run, at_cfi_unsigned(at), PLACE_SAME, 0); return true;
    case CFA_REGISTER:
    case CFA_VAL_OFFSET:
    case CFA_VAL_OFFSET_SF:
      set(run, at_cfi_unsigned(at), PLACE_OTHER, 0);
      at_cfi_unsigned(at);
      return true;
    case CFA_EXPRESSION:
      number = at_cfi_unsigned(at);
      set(run, number, PLACE_EXPRESSION, 0);
      struct at_cfi_cursor block = at_cfi_block(at);
      struct place *place = column(run, number);
      if (place != NULL) place->expression = block;
      return true;
    case CFA_VAL_EXPRESSION:
      set(run, at_cfi_unsigned(at), PLACE_OTHER, 0);
      at_cfi_block(at);
      return true;
    default: return false;
  }
}

/* Instructions that set the frame address; false: it is none of them. */
static bool define(struct run *run, struct at_cfi_cursor *at, uint64_t code) {
  int64_t scale = run->function->data_align;
  uint64_t number;
  switch (code) {
    case CFA_DEF_CFA:
      number = at_cfi_unsigned(at);
      set_cfa(run, number, (int64_t)at_cfi_unsigned(at));
      return true;
    case CFA_DEF_CFA_SF:
      number = at_cfi_unsigned(at);
      set_cfa(run, number, at_cfi_signed(at) * scale);
      return true;
    case CFA_DEF_CFA_REGISTER: set_cfa(run, at_cfi_unsigned(at), run->row.cfa_offset); return true;
    case CFA_DEF_CFA_OFFSET: run->row.cfa_offset = (int64_t)at_cfi_unsigned(at); return true;
    case CFA_DEF_CFA_OFFSET_SF: run->row.cfa_offset = at_cfi_signed(at) * scale; return true;
    case CFA_DEF_CFA_EXPRESSION:
      run->row.cfa_register = REGISTER_EXPRESSION;
      run->row.cfa_expression = at_cfi_block(at);
      return true;
    default: return false;
  }
}

static void instruction(struct run *run, struct at_cfi_cursor *at) {
  uint64_t code = at_cfi_u8(at);
  uint64_t operand = code & 0x3f;
  switch (code & 0xc0) {
    case 0x40: advance(run, operand); return;
    case 0x80: set(run, operand, PLACE_OFFSET, (int64_t)at_cfi_unsigned(at) * run->function->data_align); return;
    case 0xc0: restore(run, operand); return;
    default: break;
  }
  if (save(run, at, code) || define(run, at, code)) return;
  switch (code) {
    case CFA_NOP: return;
    case CFA_ADVANCE_LOC1: advance(run, at_cfi_u8(at)); return;
    case CFA_ADVANCE_LOC2: advance(run, at_cfi_u16(at)); return;
    case CFA_ADVANCE_LOC4: advance(run, at_cfi_u32(at)); return;
    case CFA_SET_LOC:
      run->location = at_cfi_address(at, run->function->encoding, 0);
      if (run->location > run->address) run->done = true;
      return;
    case CFA_REMEMBER_STATE: remember(run); return;
    case CFA_RESTORE_STATE: recall(run); return;
    case CFA_GNU_ARGS_SIZE: at_cfi_unsigned(at); return;
    default: run->lost = true;
  }
}

static void execute(struct run *run, struct at_cfi_cursor instructions) {
  while (instructions.at < instructions.end && !run->done && !run->lost) {
    instruction(run, &instructions);
    if (instructions.bad) run->lost = true;
  }
}

static uint32_t saved(const struct place *place, uint64_t address) {
  enum at_saved_kind kind = AT_SAVED_CFA;
  int64_t offset = place->offset;
  if (place->kind == PLACE_SAME) return at_saved(AT_SAVED_SAME, 0);
  if (place->kind == PLACE_EXPRESSION) {
    struct at_cfi_value value;
    if (!at_cfi_evaluate(place->expression, address, &value)) return at_saved(AT_SAVED_UNKNOWN, 0);
    if (value.base != AT_CFI_RBP || value.word) return at_saved(AT_SAVED_UNKNOWN, 0);
    kind = AT_SAVED_RBP;
    offset = value.offset;
  } else if (place->kind != PLACE_OFFSET) return at_saved(AT_SAVED_UNKNOWN, 0);
  if (offset % 8 != 0 || offset / 8 >= AT_SAVED_LIMIT || offset / 8 <= -AT_SAVED_LIMIT)
    return at_saved(AT_SAVED_UNKNOWN, 0);
  return at_saved(kind, offset / 8);
}

/* Kind and offset of the CFA; AT_RULE_LOST when it needs what is not followed. */
static uint32_t frame_address(const struct row *row, uint64_t address, int64_t *offset) {
  struct at_cfi_value value = {AT_CFI_NUMBER, false, 0, row->cfa_offset};
  if (row->cfa_register == REGISTER_RSP) value.base = AT_CFI_RSP;
  if (row->cfa_register == REGISTER_RBP) value.base = AT_CFI_RBP;
  if (row->cfa_register == REGISTER_RBX) value.base = AT_CFI_RBX;
  if (row->cfa_register == REGISTER_EXPRESSION && !at_cfi_evaluate(row->cfa_expression, address, &value))
    return AT_RULE_LOST;
  *offset = value.offset;
  if (value.word) {
    if (value.offset < 0 || value.offset > 255) return AT_RULE_LOST;
    if (value.inner >= INT32_MAX / 256 || value.inner <= INT32_MIN / 256) return AT_RULE_LOST;
    *offset = value.inner * 256 + value.offset;
    return value.base == AT_CFI_RBP ? AT_RULE_AT_RBP : value.base == AT_CFI_RSP ? AT_RULE_AT_RSP : AT_RULE_LOST;
  }
  if (*offset != (int32_t)*offset) return AT_RULE_LOST;
  if (value.base == AT_CFI_RSP) return AT_RULE_RSP;
  if (value.base == AT_CFI_RBP) return AT_RULE_RBP;
  return value.base == AT_CFI_RBX ? AT_RULE_RBX : AT_RULE_LOST;
}

uint64_t at_cfi_run(const struct at_cfi_function *function, uint64_t address) {
  struct run run;
  memset(&run, 0, sizeof run);
  run.function = function;
  run.location = function->first;
  run.address = address;
  execute(&run, function->common);
  run.first = run.row;
  execute(&run, function->own);
  if (run.lost) return AT_RULE_LOST;

  const struct place *back = &run.row.places[COLUMN_RIP];
  if (back->kind == PLACE_UNDEFINED) return AT_RULE_END;
  if (back->kind != PLACE_OFFSET || back->offset != -8) return AT_RULE_LOST;
  int64_t offset = 0;
  uint32_t kind = frame_address(&run.row, address, &offset);
  if (kind == AT_RULE_LOST) return AT_RULE_LOST;
  return at_rule(kind, offset, saved(&run.row.places[COLUMN_RBP], address),
                 saved(&run.row.places[COLUMN_RBX], address));
}
