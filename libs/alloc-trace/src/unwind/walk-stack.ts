import { DwarfDamage } from './dwarf-cursor.js';
import { evaluate, type ExpressionInput } from './dwarf-expression.js';
import type { FrameAddressRule, RegisterRule, UnwindRow } from './cfi-program.js';

/** DWARF numbers of the x86-64 registers that a function keeps for its caller (System V ABI, figure 3.36). */
export const RBX = 3;
export const RBP = 6;
export const RSP = 7;
const RETURN = 16;
const KEPT = [RBX, RBP, 12, 13, 14, 15] as const;

/** A thread at the moment a function has returned to it. */
export interface StoppedThread {
  /** Where it goes on. */
  pc: number;
  /** Registers by DWARF number: rbx, rbp, rsp, r12 to r15. */
  registers: ReadonlyMap<number, number>;
  /** The word of the stack at an address; undefined when it was not copied. */
  word(address: number): number | undefined;
}

/** How to go on from a place in memory: its rules; 'none' when code is there without rules; null when no code is there. */
export type RulesAt = (pc: number) => UnwindRow | 'none' | null;

export interface WalkedStack {
  /** Return addresses in memory, innermost first. Never empty. */
  addresses: number[];
  /** The walk ended before the outermost frame. */
  truncated: boolean;
}

/**
 * Walks a copied stack by call frame information; through code without it by frame pointers. What was walked is kept
 * when the copy ends or something does not fit; it never throws.
 */
export function walkStack(thread: StoppedThread, rulesAt: RulesAt, maxFrames: number): WalkedStack {
  const addresses = [thread.pc];
  let registers: Map<number, number> = new Map(thread.registers);
  let pc = thread.pc;
  let interrupted = false;
  for (;;) {
    // A return address may lie behind its function when the call never comes back: look at the call itself.
    const rules = rulesAt(interrupted ? pc : pc - 1);
    if (rules === null) return { addresses, truncated: true };
    const next = rules === 'none' ? byFramePointer(registers, thread) : byRules(rules, registers, thread);
    if (next === 'outermost') return { addresses, truncated: false };
    if (next === null || next.get(RSP)! <= registers.get(RSP)!) return { addresses, truncated: true };
    pc = next.get(RETURN)!;
    if (pc === 0) return { addresses, truncated: false };
    if (addresses.length >= maxFrames) return { addresses, truncated: true };
    if (rulesAt(pc - 1) === null && rulesAt(pc) === null) return { addresses, truncated: true };
    addresses.push(pc);
    interrupted = rules !== 'none' && rules.signalFrame;
    next.delete(RETURN);
    registers = next;
  }
}

function byFramePointer(registers: ReadonlyMap<number, number>, thread: StoppedThread): Map<number, number> | null {
  const frame = registers.get(RBP);
  if (frame === undefined || frame < registers.get(RSP)!) return null;
  const saved = thread.word(frame);
  const pc = thread.word(frame + 8);
  if (saved === undefined || pc === undefined) return null;
  const next = new Map(registers);
  return next
    .set(RBP, saved)
    .set(RETURN, pc)
    .set(RSP, frame + 16);
}

function byRules(
  row: UnwindRow,
  registers: ReadonlyMap<number, number>,
  thread: StoppedThread,
): Map<number, number> | 'outermost' | null {
  const input: ExpressionInput = {
    register: (number) => registers.get(number),
    word: (address) => thread.word(address),
  };
  try {
    const frame = frameAddressOf(row.frameAddress, input);
    const returns = row.rules.get(row.returnRegister);
    if (returns?.kind === 'undefined') return 'outermost';
    const next = new Map<number, number>();
    for (const register of KEPT) {
      const value = valueOf(row.rules.get(register), register, frame, input);
      if (value !== undefined) next.set(register, value);
    }
    const stack = row.rules.get(RSP);
    const pc = valueOf(returns, RETURN, frame, input);
    if (pc === undefined) return null;
    return next.set(RSP, stack === undefined ? frame : (valueOf(stack, RSP, frame, input) ?? frame)).set(RETURN, pc);
  } catch (error) {
    if (error instanceof DwarfDamage) return null;
    throw error;
  }
}

function frameAddressOf(rule: FrameAddressRule, input: ExpressionInput): number {
  if ('expression' in rule) return evaluate(rule.expression, input);
  const base = input.register(rule.register);
  if (base === undefined) throw new DwarfDamage('the register of the frame address is not known');
  return base + rule.offset;
}

function valueOf(
  rule: RegisterRule | undefined,
  register: number,
  frame: number,
  input: ExpressionInput,
): number | undefined {
  switch (rule?.kind) {
    case undefined:
    case 'same':
      return input.register(register);
    case 'undefined':
      return undefined;
    case 'saved':
      return input.word(frame + rule.offset);
    case 'value':
      return frame + rule.offset;
    case 'register':
      return input.register(rule.register);
    case 'savedAt':
      return input.word(evaluate(rule.expression, input, frame));
    case 'valueOf':
      return evaluate(rule.expression, input, frame);
  }
}
