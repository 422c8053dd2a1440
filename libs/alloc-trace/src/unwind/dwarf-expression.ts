import {
  DwarfDamage,
  cursorOver,
  s16,
  s32,
  s64,
  sleb,
  u16,
  u32,
  u64,
  u8,
  uleb,
  type DwarfCursor,
} from './dwarf-cursor.js';

export interface ExpressionInput {
  /** Value of a register, by its DWARF number. */
  register(number: number): number | undefined;
  /** The word at an address. */
  word(address: number): number | undefined;
}

const MAX_STEPS = 256;
const MAX_DEPTH = 64;

const CONSTANTS: Record<number, (cursor: DwarfCursor) => number> = {
  0x03: u64,
  0x08: u8,
  0x09: (cursor) => (u8(cursor) << 24) >> 24,
  0x0a: u16,
  0x0b: s16,
  0x0c: u32,
  0x0d: s32,
  0x0e: u64,
  0x0f: s64,
  0x10: uleb,
  0x11: sleb,
};

const BINARY: Record<number, (a: bigint, b: bigint) => bigint> = {
  0x1a: (a, b) => a & b,
  0x1c: (a, b) => a - b,
  0x1e: (a, b) => a * b,
  0x21: (a, b) => a | b,
  0x22: (a, b) => a + b,
  0x24: (a, b) => (b < 64n ? a << b : 0n),
  0x25: (a, b) => (b < 64n ? BigInt.asUintN(64, a) >> b : 0n),
  0x27: (a, b) => a ^ b,
  0x29: (a, b) => (a === b ? 1n : 0n),
  0x2a: (a, b) => (a >= b ? 1n : 0n),
  0x2b: (a, b) => (a > b ? 1n : 0n),
  0x2c: (a, b) => (a <= b ? 1n : 0n),
  0x2d: (a, b) => (a < b ? 1n : 0n),
  0x2e: (a, b) => (a !== b ? 1n : 0n),
};

/**
 * Value of a DWARF expression (DWARF 5, 2.5) as linkers and libcs use them in call frame information. `first` lies on the
 * stack before. Throws DwarfDamage for what it does not know or cannot read.
 */
export function evaluate(expression: Buffer, input: ExpressionInput, first?: number): number {
  const stack: bigint[] = first === undefined ? [] : [BigInt(first)];
  const cursor = cursorOver(expression);
  for (let steps = 0; cursor.at < cursor.end; steps++) {
    if (steps >= MAX_STEPS || stack.length > MAX_DEPTH) throw new DwarfDamage('an expression does not end');
    step(cursor, stack, input);
  }
  const result = Number(pop(stack));
  if (!Number.isSafeInteger(result) || result < 0) throw new DwarfDamage('an expression gives no address');
  return result;
}

function step(cursor: DwarfCursor, stack: bigint[], input: ExpressionInput): void {
  const code = u8(cursor);
  const constant = CONSTANTS[code];
  const binary = BINARY[code];
  if (constant !== undefined) stack.push(whole(constant(cursor)));
  else if (binary !== undefined) {
    const right = pop(stack);
    stack.push(BigInt.asIntN(64, binary(pop(stack), right)));
  } else if (code >= 0x30 && code <= 0x4f) stack.push(BigInt(code - 0x30));
  else if (code >= 0x70 && code <= 0x8f) {
    const offset = sleb(cursor);
    stack.push(whole(known(input.register(code - 0x70)) + offset));
  } else if (code === 0x23) stack.push(pop(stack) + whole(uleb(cursor)));
  else if (code === 0x06) stack.push(whole(known(input.word(Number(pop(stack))))));
  else if (code === 0x12) {
    const top = pop(stack);
    stack.push(top, top);
  } else if (code === 0x13) pop(stack);
  else if (code !== 0x96) throw new DwarfDamage(`unknown operation ${code} in an expression`);
}

function pop(stack: bigint[]): bigint {
  const value = stack.pop();
  if (value === undefined) throw new DwarfDamage('an expression takes more than it has');
  return value;
}

function known(value: number | undefined): number {
  if (value === undefined) throw new DwarfDamage('an expression wants what is not known');
  return value;
}

function whole(value: number): bigint {
  if (!Number.isSafeInteger(value)) throw new DwarfDamage('an expression leaves the addresses there are');
  return BigInt(value);
}
