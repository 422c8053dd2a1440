import { SURVIVAL_MS, type TraceMode } from '@tidemark/contracts';
import { TraceError } from '../errors.js';
import { CONTROL, CONTROL_BYTES, HEADER, MAX_FRAMES, MODE, STACKS } from '../ring/format.js';
import type { ControlState } from '../ring/header.js';
import type { RingFile } from '../ring/ring-file.js';

export interface ControlRequest {
  mode: TraceMode;
  /** Mean bytes between samples. */
  sampleInterval: number;
  /** 1 takes the caller alone. */
  maxFrames: number;
  /** CLOCK_BOOTTIME, milliseconds. */
  leaseUntil: number;
}

export const DEFAULT_SAMPLE_INTERVAL = 512 * 1024;
export const MAX_SAMPLE_INTERVAL = 2 ** 30;

/** Throws TRACE_INVALID that names the parameter and its range. */
export function checkRequest({
  sampleInterval,
  maxFrames,
}: Pick<ControlRequest, 'sampleInterval' | 'maxFrames'>): void {
  checkWhole('sampleInterval', sampleInterval, MAX_SAMPLE_INTERVAL);
  checkWhole('maxFrames', maxFrames, MAX_FRAMES);
}

function checkWhole(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new TraceError('TRACE_INVALID', `${name} is ${value}: wanted a whole number from 1 to ${most}`);
}

/** Whether that is what was asked for last. */
export function isAskedFor(before: ControlState, request: Omit<ControlRequest, 'leaseUntil'>): boolean {
  return (
    before.mode === MODE[request.mode] &&
    (request.mode !== 'SAMPLED' || before.sampleInterval === request.sampleInterval) &&
    before.stacks === stacksOf(request) &&
    before.maxFrames === request.maxFrames &&
    before.youngNs === YOUNG_NS
  );
}

const YOUNG_NS = SURVIVAL_MS * 1e6;

function stacksOf({ maxFrames }: Pick<ControlRequest, 'maxFrames'>): number {
  return maxFrames === 1 ? STACKS.CALLER : STACKS.FULL;
}

/**
 * Writes what is asked for. The library acts when mode or number differ from what it acted on, and takes a number that it
 * has missed for dormancy, so the order matters: from dormancy the mode comes last, to dormancy it comes first, and from one
 * active mode to another both come in one write.
 */
export function writeControl(file: RingFile, before: ControlState, generation: number, request: ControlRequest): void {
  const bytes = Buffer.alloc(CONTROL_BYTES);
  bytes.writeUInt32LE(MODE[request.mode], CONTROL.mode);
  bytes.writeUInt32LE((before.pulse + 1) >>> 0, CONTROL.pulse);
  bytes.writeBigUInt64LE(BigInt(request.sampleInterval), CONTROL.sampleInterval);
  bytes.writeUInt32LE(stacksOf(request), CONTROL.stacks);
  bytes.writeUInt32LE(request.maxFrames, CONTROL.maxFrames);
  bytes.writeBigUInt64LE(BigInt(before.maxBytes), CONTROL.maxBytes);
  bytes.writeBigUInt64LE(BigInt(Math.ceil(request.leaseUntil)), CONTROL.leaseUntil);
  bytes.writeBigUInt64LE(BigInt(YOUNG_NS), CONTROL.youngNs);
  bytes.writeBigUInt64LE(BigInt(generation), CONTROL.generation);
  const mode = (): void => file.write(bytes.subarray(CONTROL.mode, CONTROL.pulse), HEADER.control + CONTROL.mode);
  const others = (): void => file.write(bytes.subarray(CONTROL.pulse), HEADER.control + CONTROL.pulse);
  const order =
    request.mode === 'DORMANT'
      ? [mode, others]
      : before.mode === MODE.DORMANT
        ? [others, mode]
        : [() => file.write(bytes, HEADER.control)];
  for (const write of order) write();
}

/** Somebody looks: the lease goes on. */
export function renewLease(file: RingFile, leaseUntil: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(Math.ceil(leaseUntil)));
  file.write(bytes, HEADER.control + CONTROL.leaseUntil);
}

/** Any number but the last one makes the threads renew their clocks at their next call. */
export function writePulse(file: RingFile, pulse: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(pulse >>> 0);
  file.write(bytes, HEADER.control + CONTROL.pulse);
}
