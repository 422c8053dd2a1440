#include "cfi.h"

/* DWARF 4, 7.7.1. */
enum {
  OP_DEREF = 0x06,
  OP_CONST1U = 0x08,
  OP_CONST1S = 0x09,
  OP_CONST2U = 0x0a,
  OP_CONST2S = 0x0b,
  OP_CONST4U = 0x0c,
  OP_CONST4S = 0x0d,
  OP_CONST8U = 0x0e,
  OP_CONST8S = 0x0f,
  OP_CONSTU = 0x10,
  OP_CONSTS = 0x11,
  OP_AND = 0x1a,
  OP_MINUS = 0x1c,
  OP_PLUS = 0x22,
  OP_PLUS_UCONST = 0x23,
  OP_SHL = 0x24,
  OP_GE = 0x2a,
  OP_LIT0 = 0x30,
  OP_LIT31 = 0x4f,
  OP_BREG0 = 0x70,
  OP_BREG31 = 0x8f,
};

enum { REGISTER_RBX = 3, REGISTER_RBP = 6, REGISTER_RSP = 7, REGISTER_RIP = 16 };

#define STACK_LIMIT 8u

struct machine {
  struct at_cfi_value stack[STACK_LIMIT];
  uint32_t depth;
  bool lost;
};

static void push(struct machine *machine, struct at_cfi_value value) {
  if (machine->depth == STACK_LIMIT) machine->lost = true;
  else machine->stack[machine->depth++] = value;
}

static struct at_cfi_value pop(struct machine *machine) {
  struct at_cfi_value nothing = {AT_CFI_NUMBER, false, 0, 0};
  if (machine->depth == 0) {
    machine->lost = true;
    return nothing;
  }
  return machine->stack[--machine->depth];
}

static void push_number(struct machine *machine, int64_t number) {
  push(machine, (struct at_cfi_value){AT_CFI_NUMBER, false, 0, number});
}

static void push_register(struct machine *machine, uint64_t number, int64_t offset, uint64_t address) {
  if (number == REGISTER_RIP) push_number(machine, (int64_t)(address + (uint64_t)offset));
  else if (number == REGISTER_RSP) push(machine, (struct at_cfi_value){AT_CFI_RSP, false, 0, offset});
  else if (number == REGISTER_RBP) push(machine, (struct at_cfi_value){AT_CFI_RBP, false, 0, offset});
  else if (number == REGISTER_RBX) push(machine, (struct at_cfi_value){AT_CFI_RBX, false, 0, offset});
  else machine->lost = true;
}

static void dereference(struct machine *machine) {
  struct at_cfi_value value = pop(machine);
  if (value.base == AT_CFI_NUMBER || value.word) machine->lost = true;
  push(machine, (struct at_cfi_value){value.base, true, value.offset, 0});
}

static void add(struct machine *machine, struct at_cfi_value left, struct at_cfi_value right) {
  if (left.base == AT_CFI_NUMBER) {
    struct at_cfi_value swapped = left;
    left = right;
    right = swapped;
  }
  if (right.base != AT_CFI_NUMBER) machine->lost = true;
  left.offset = (int64_t)((uint64_t)left.offset + (uint64_t)right.offset);
  push(machine, left);
}

static void combine(struct machine *machine, uint64_t operation) {
  struct at_cfi_value right = pop(machine);
  struct at_cfi_value left = pop(machine);
  if (operation == OP_PLUS) {
    add(machine, left, right);
    return;
  }
  if (right.base != AT_CFI_NUMBER || (left.base != AT_CFI_NUMBER && operation != OP_MINUS)) machine->lost = true;
  uint64_t a = (uint64_t)left.offset;
  uint64_t b = (uint64_t)right.offset;
  if (operation == OP_MINUS) left.offset = (int64_t)(a - b);
  else if (operation == OP_AND) left.offset = (int64_t)(a & b);
  else if (operation == OP_SHL) left.offset = (int64_t)(b < 64 ? a << b : 0);
  else left.offset = left.offset >= right.offset;
  push(machine, left);
}

static bool constant(struct at_cfi_cursor *at, uint64_t operation, int64_t *number) {
  switch (operation) {
    case OP_CONST1U: *number = (int64_t)at_cfi_u8(at); return true;
    case OP_CONST1S: *number = (int8_t)at_cfi_u8(at); return true;
    case OP_CONST2U: *number = (int64_t)at_cfi_u16(at); return true;
    case OP_CONST2S: *number = (int16_t)at_cfi_u16(at); return true;
    case OP_CONST4U: *number = (int64_t)at_cfi_u32(at); return true;
    case OP_CONST4S: *number = (int32_t)at_cfi_u32(at); return true;
    case OP_CONST8U:
    case OP_CONST8S: *number = (int64_t)at_cfi_u64(at); return true;
    case OP_CONSTU: *number = (int64_t)at_cfi_unsigned(at); return true;
    case OP_CONSTS: *number = at_cfi_signed(at); return true;
    default: return false;
  }
}

static void step(struct machine *machine, struct at_cfi_cursor *at, uint64_t address) {
  uint64_t operation = at_cfi_u8(at);
  int64_t number = 0;
  if (operation >= OP_LIT0 && operation <= OP_LIT31) push_number(machine, (int64_t)operation - OP_LIT0);
  else if (operation >= OP_BREG0 && operation <= OP_BREG31)
    push_register(machine, operation - OP_BREG0, at_cfi_signed(at), address);
  else if (constant(at, operation, &number)) push_number(machine, number);
  else if (operation == OP_DEREF) dereference(machine);
  else if (operation == OP_PLUS_UCONST) {
    push_number(machine, (int64_t)at_cfi_unsigned(at));
    combine(machine, OP_PLUS);
  } else if (operation == OP_PLUS || operation == OP_MINUS || operation == OP_AND || operation == OP_SHL ||
             operation == OP_GE)
    combine(machine, operation);
  else machine->lost = true;
}

bool at_cfi_evaluate(struct at_cfi_cursor expression, uint64_t address, struct at_cfi_value *value) {
  struct machine machine = {.depth = 0, .lost = false};
  while (expression.at < expression.end && !machine.lost && !expression.bad) step(&machine, &expression, address);
  *value = pop(&machine);
  return !machine.lost && !expression.bad;
}
