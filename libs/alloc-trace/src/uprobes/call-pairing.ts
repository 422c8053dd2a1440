import type { ProbePlace } from './allocator.js';
import { TAKEN_REGISTERS, type ProbeFormats } from './probe-group.js';
import type { RawEvent } from './trace-pipes.js';
import { RSP, type StoppedThread } from '../unwind/walk-stack.js';

/** What the calls of a process come to. Times are nanoseconds of the trace clock. */
export interface CallSink {
  allocated(time: number, address: number, size: number, thread: StoppedThread): void;
  /** The block is no longer the process's; returns what brings it back when the call turns out to have failed. */
  released(time: number, address: number): (() => void) | null;
  /** A call whose outcome cannot be told. */
  unknown(): void;
}

export interface CallPairing {
  take(event: RawEvent): void;
  /** Forgets calls that have not returned: their returns may go unseen. */
  forget(): void;
}

interface Call {
  place: ProbePlace;
  size: number;
  /** First argument: where posix_memalign writes, or the old block of a realloc. */
  first: number;
  stack: number;
  time: number;
  undo: (() => void) | null;
}

interface Thread {
  calls: Call[];
  /** The last block dropped, when nothing happened since: operator delete goes on to free the same. */
  dropped: number;
}

/** Calls within calls of one thread at most; the kernel follows 64 returns. */
const MAX_DEPTH = 64;
const MAX_THREADS = 16_384;
const JUMP_NS = 1e8;

/**
 * Puts entry and return of each call together, by thread and stack pointer, and keeps the outermost call only: what an
 * entry point does through another is one call. `allocating(time)` says whether allocations count at a time.
 */
export function pairCalls(
  places: readonly ProbePlace[],
  formats: ProbeFormats,
  sink: CallSink,
  allocating: (time: number) => boolean,
): CallPairing {
  const byAddress = new Map(places.map((place) => [place.address, place]));
  const threads = new Map<number, Thread>();
  const threadOf = (id: number): Thread => {
    let thread = threads.get(id);
    if (thread === undefined) {
      if (threads.size >= MAX_THREADS) threads.clear();
      threads.set(id, (thread = { calls: [], dropped: 0 }));
    }
    return thread;
  };
  const entry = (event: RawEvent): void => {
    const place = byAddress.get(number64(event, formats.ip));
    if (place === undefined) return;
    const thread = threadOf(event.thread);
    const [first, second, third] = [0, 8, 16].map((more) => number64(event, formats.arguments + more));
    const stack = number64(event, formats.stack);
    for (let last = thread.calls.at(-1); last !== undefined && isOver(last, place, stack, event.time);) {
      leftUnseen(thread, sink);
      last = thread.calls.at(-1);
    }
    const nested = thread.calls.length > 0;
    const counts = allocating(event.time);
    let undo: (() => void) | null = null;
    if (event.event === 'drop' && first !== 0 && !nested && thread.dropped !== first) {
      undo = sink.released(event.time, first!);
    }
    thread.dropped = place.kind === 'release' ? first! : 0;
    if (place.kind === 'release' || (place.kind === 'move' && !counts) || thread.calls.length >= MAX_DEPTH) return;
    if (place.kind !== 'move' && !counts && !nested) return;
    thread.calls.push({
      place,
      size: place.size(first!, second!, third!),
      first: first!,
      stack,
      time: event.time,
      undo,
    });
  };
  const leave = (event: RawEvent): void => {
    const thread = threadOf(event.thread);
    const address = number64(event, formats.function);
    // The return address is gone from the stack by now.
    const stack = number64(event, formats.registers) - 8;
    while (thread.calls.length > 0 && thread.calls.at(-1)!.stack < stack) leftUnseen(thread, sink);
    const call = thread.calls.at(-1);
    if (call === undefined || call.stack !== stack || call.place.address !== address) return;
    thread.calls.pop();
    thread.dropped = 0;
    if (thread.calls.length === 0 && allocating(event.time)) finish(event, formats, call, sink);
  };
  return {
    take: (event) => (event.event === 'leave' ? leave(event) : entry(event)),
    forget: () => threads.clear(),
  };
}

/**
 * Whether an earlier call must have returned, though nobody saw it, when the thread enters `place`: its frame is below the
 * stack pointer. At the same stack pointer it is either over or has jumped here at its end, which takes no time.
 */
function isOver(call: Call, place: ProbePlace, stack: number, time: number): boolean {
  if (call.stack !== stack) return call.stack < stack;
  return call.place === place || time - call.time > JUMP_NS;
}

function leftUnseen(thread: Thread, sink: CallSink): void {
  thread.calls.pop();
  if (thread.calls.length === 0) sink.unknown();
}

function finish(event: RawEvent, formats: ProbeFormats, call: Call, sink: CallSink): void {
  const result = number64(event, formats.result);
  const thread = stoppedThread(event, formats);
  if (call.place.kind === 'place') {
    if (result !== 0) return;
    const address = thread.word(call.first);
    if (address === undefined) sink.unknown();
    else sink.allocated(event.time, address, call.size, thread);
    return;
  }
  if (result !== 0) sink.allocated(event.time, result, call.size, thread);
  else if (call.size !== 0) call.undo?.();
}

/** The thread as the return probe found it; words are read from the page when they are asked for. */
function stoppedThread(event: RawEvent, formats: ProbeFormats): StoppedThread {
  const stack = number64(event, formats.registers);
  const registers = new Map<number, number>([[RSP, stack]]);
  TAKEN_REGISTERS.forEach(([, number], index) => {
    registers.set(number, number64(event, formats.registers + 8 + index * 8));
  });
  return {
    pc: number64(event, formats.caller),
    registers,
    word: (address) => {
      const index = (address - stack) / 8;
      if (!(index >= 0 && index < formats.wordCount && Number.isInteger(index))) return undefined;
      return number64(event, formats.words + index * 8);
    },
  };
}

/** As a double: exact below 2^53, where user addresses are. */
function number64({ page, at }: RawEvent, offset: number): number {
  return page.readUInt32LE(at + offset + 4) * 4_294_967_296 + page.readUInt32LE(at + offset);
}
