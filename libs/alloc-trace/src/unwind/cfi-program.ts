import { DwarfDamage, cursorOver, sleb, take, u16, u32, u8, uleb, type DwarfCursor } from './dwarf-cursor.js';

/** Where the caller's value of a register is. Offsets are of the canonical frame address, bytes. */
export type RegisterRule =
  | { kind: 'same' }
  | { kind: 'undefined' }
  | { kind: 'saved'; offset: number }
  | { kind: 'value'; offset: number }
  | { kind: 'register'; register: number }
  | { kind: 'savedAt'; expression: Buffer }
  | { kind: 'valueOf'; expression: Buffer };

export type FrameAddressRule = { register: number; offset: number } | { expression: Buffer };

/** How to leave a function at one place in it. Registers without a rule keep their values. */
export interface UnwindRow {
  frameAddress: FrameAddressRule;
  rules: ReadonlyMap<number, RegisterRule>;
  returnRegister: number;
  /** The frame was made by a signal: its caller was interrupted, not calling. */
  signalFrame: boolean;
}

/** What a CIE says for its FDEs. */
export interface FrameCommon {
  codeAlignment: number;
  dataAlignment: number;
  returnRegister: number;
  pointerEncoding: number;
  signalFrame: boolean;
  hasAugmentation: boolean;
  program: Buffer;
}

interface Machine {
  common: FrameCommon;
  location: number;
  frameAddress: FrameAddressRule | null;
  rules: Map<number, RegisterRule>;
  initial: Map<number, RegisterRule>;
  kept: { frameAddress: FrameAddressRule | null; rules: Map<number, RegisterRule> }[];
}

const MAX_KEPT = 64;

/**
 * Runs the call frame instructions (DWARF 5, 6.4.2) of a CIE and an FDE up to `address`. Throws DwarfDamage when they
 * make no sense.
 */
export function rowFor(common: FrameCommon, program: Buffer, begin: number, address: number): UnwindRow {
  const machine: Machine = {
    common,
    location: begin,
    frameAddress: null,
    rules: new Map(),
    initial: new Map(),
    kept: [],
  };
  run(machine, common.program, Infinity);
  machine.initial = new Map(machine.rules);
  machine.location = begin;
  run(machine, program, address);
  if (machine.frameAddress === null) throw new DwarfDamage('no rule for the frame address');
  return {
    frameAddress: machine.frameAddress,
    rules: machine.rules,
    returnRegister: common.returnRegister,
    signalFrame: common.signalFrame,
  };
}

function run(machine: Machine, program: Buffer, until: number): void {
  const cursor = cursorOver(program);
  while (cursor.at < cursor.end && machine.location <= until) {
    const code = u8(cursor);
    const operand = code & 0x3f;
    if (code >> 6 === 1) machine.location += operand * machine.common.codeAlignment;
    else if (code >> 6 === 2) setSaved(machine, operand, uleb(cursor) * machine.common.dataAlignment);
    else if (code >> 6 === 3) restore(machine, operand);
    else if (!advance(machine, code, cursor) && !define(machine, code, cursor)) {
      throw new DwarfDamage(`unknown call frame instruction ${code}`);
    }
  }
}

/** Instructions that move on, or do nothing here. Instructions after `until` are never run: run() looks before each. */
function advance(machine: Machine, code: number, cursor: DwarfCursor): boolean {
  const step = machine.common.codeAlignment;
  switch (code) {
    case 0x00: // nop
      return true;
    case 0x02:
      machine.location += u8(cursor) * step;
      return true;
    case 0x03:
      machine.location += u16(cursor) * step;
      return true;
    case 0x04:
      machine.location += u32(cursor) * step;
      return true;
    case 0x2e: // GNU_args_size
      uleb(cursor);
      return true;
    case 0x0a: // remember_state
      if (machine.kept.length >= MAX_KEPT) throw new DwarfDamage('too many states remembered');
      machine.kept.push({ frameAddress: machine.frameAddress, rules: new Map(machine.rules) });
      return true;
    case 0x0b: {
      const kept = machine.kept.pop();
      if (kept === undefined) throw new DwarfDamage('no state to go back to');
      machine.frameAddress = kept.frameAddress;
      machine.rules = kept.rules;
      return true;
    }
    default:
      return false;
  }
}

function define(machine: Machine, code: number, cursor: DwarfCursor): boolean {
  const scale = machine.common.dataAlignment;
  switch (code) {
    case 0x0c:
      machine.frameAddress = { register: uleb(cursor), offset: uleb(cursor) };
      return true;
    case 0x12:
      machine.frameAddress = { register: uleb(cursor), offset: sleb(cursor) * scale };
      return true;
    case 0x0d:
      machine.frameAddress = { ...plainFrameAddress(machine), register: uleb(cursor) };
      return true;
    case 0x0e:
      machine.frameAddress = { ...plainFrameAddress(machine), offset: uleb(cursor) };
      return true;
    case 0x13:
      machine.frameAddress = { ...plainFrameAddress(machine), offset: sleb(cursor) * scale };
      return true;
    case 0x0f:
      machine.frameAddress = { expression: block(cursor) };
      return true;
    case 0x06:
      restore(machine, uleb(cursor));
      return true;
    default:
      return defineRegister(machine, code, cursor);
  }
}

function defineRegister(machine: Machine, code: number, cursor: DwarfCursor): boolean {
  const scale = machine.common.dataAlignment;
  const rules: Record<number, () => RegisterRule> = {
    0x05: () => ({ kind: 'saved', offset: uleb(cursor) * scale }),
    0x07: () => ({ kind: 'undefined' }),
    0x08: () => ({ kind: 'same' }),
    0x09: () => ({ kind: 'register', register: uleb(cursor) }),
    0x10: () => ({ kind: 'savedAt', expression: block(cursor) }),
    0x11: () => ({ kind: 'saved', offset: sleb(cursor) * scale }),
    0x14: () => ({ kind: 'value', offset: uleb(cursor) * scale }),
    0x15: () => ({ kind: 'value', offset: sleb(cursor) * scale }),
    0x16: () => ({ kind: 'valueOf', expression: block(cursor) }),
    0x2f: () => ({ kind: 'saved', offset: -uleb(cursor) * scale }),
  };
  const make = rules[code];
  if (make === undefined) return false;
  const register = uleb(cursor);
  machine.rules.set(register, make());
  return true;
}

function plainFrameAddress({ frameAddress }: Machine): { register: number; offset: number } {
  if (frameAddress === null || 'expression' in frameAddress) throw new DwarfDamage('the frame address has no register');
  return frameAddress;
}

function setSaved(machine: Machine, register: number, offset: number): void {
  machine.rules.set(register, { kind: 'saved', offset });
}

function restore(machine: Machine, register: number): void {
  const initial = machine.initial.get(register);
  if (initial === undefined) machine.rules.delete(register);
  else machine.rules.set(register, initial);
}

function block(cursor: DwarfCursor): Buffer {
  const length = uleb(cursor);
  const at = take(cursor, length);
  return cursor.bytes.subarray(at, at + length);
}
