import type { ControlSender, TraceStatusRecord } from '@tidemark/contracts';
import type { EventLog, OutgoingRecord } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';
import type { Clock } from '../collect/clock.js';

export interface TraceOutboxOptions {
  /** Where looks go. */
  log: Pick<EventLog, 'append'>;
  /** Where answers go. */
  control: ControlSender;
  clock: Clock;
  logger: Logger;
  /** Bytes of one trace that may wait. */
  bytesPerTrace: number;
  /** Looks of the trace that waited were dropped: the next must be a keyframe, which makes up for them. */
  onDrop(trace: string, looks: number): void;
}

/** Sends chunks and answers in order, now or when the log is back. Takes everything at once and never throws. */
export interface TraceOutbox {
  /** The records of one look at one trace. */
  look(trace: string, records: readonly OutgoingRecord[]): void;
  /** Of the answers to one request only the newest waits. */
  answer(record: TraceStatusRecord): void;
  /** Why the log takes nothing; null while it does. */
  readonly failing: string | null;
  readonly waitingBytes: number;
  /** Sends what it can until the deadline; takes nothing more. */
  drain(deadlineMs: number): Promise<void>;
}

interface Batch {
  answers: TraceStatusRecord[];
  records: OutgoingRecord[];
}

interface Look {
  trace: string;
  records: readonly OutgoingRecord[];
  bytes: number;
}

const BATCH_BYTES = 2 * 1024 * 1024;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

interface State {
  options: TraceOutboxOptions;
  stop: AbortController;
  answers: Map<string, TraceStatusRecord>;
  looks: Look[];
  failing: string | null;
  working: Promise<void> | undefined;
}

export function createTraceOutbox(options: TraceOutboxOptions): TraceOutbox {
  const stop = new AbortController();
  const state: State = { options, stop, answers: new Map(), looks: [], failing: null, working: undefined };
  return {
    look: (trace, records) => addLook(state, trace, records),
    answer(record) {
      const name = `${record.pid}#${record.id}`;
      // Behind the others: the newest answer of a pid must be the last one.
      state.answers.delete(name);
      state.answers.set(name, record);
      wake(state);
    },
    get failing() {
      return state.failing;
    },
    get waitingBytes() {
      return bytesOf(state.looks);
    },
    async drain(deadlineMs) {
      const late = options.clock.sleep(deadlineMs, stop.signal);
      const emptied = (async () => {
        while (state.working) await state.working;
      })();
      await Promise.race([emptied, late]);
      stop.abort();
    },
  };
}

function addLook(state: State, trace: string, records: readonly OutgoingRecord[]): void {
  const { bytesPerTrace, onDrop } = state.options;
  const bytes = records.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
  const waiting = state.looks.filter((one) => one.trace === trace);
  if (waiting.length > 0 && bytesOf(waiting) + bytes > bytesPerTrace) {
    state.looks = state.looks.filter((one) => one.trace !== trace);
    onDrop(trace, waiting.length + 1);
    return;
  }
  state.looks.push({ trace, records, bytes });
  wake(state);
}

function bytesOf(looks: readonly Look[]): number {
  return looks.reduce((sum, { bytes }) => sum + bytes, 0);
}

function wake(state: State): void {
  if (state.stop.signal.aborted) return;
  state.working ??= pump(state).finally(() => {
    state.working = undefined;
    if (state.answers.size + state.looks.length > 0) wake(state);
  });
}

async function pump(state: State): Promise<void> {
  const { clock } = state.options;
  const { signal } = state.stop;
  for (let batch = take(state); batch; batch = take(state)) {
    for (let pause = FIRST_PAUSE_MS; !(await send(state, batch)); pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await clock.sleep(pause, signal);
      if (signal.aborted) return;
    }
  }
}

/** What goes out next: all answers, and looks as far as they fit. */
function take(state: State): Batch | undefined {
  const answers = [...state.answers.values()];
  state.answers.clear();
  const records: OutgoingRecord[] = [];
  let bytes = 0;
  let count = 0;
  for (const look of state.looks) {
    if (count > 0 && bytes + look.bytes > BATCH_BYTES) break;
    bytes += look.bytes;
    records.push(...look.records);
    count++;
  }
  state.looks = state.looks.slice(count);
  return answers.length + records.length > 0 ? { answers, records } : undefined;
}

/** What the log has is taken from the batch, so that it does not go twice. */
async function send(state: State, { answers, records }: Batch): Promise<boolean> {
  const { log, control, logger } = state.options;
  try {
    for (; answers.length > 0; answers.shift()) await control.send(answers[0]!);
    if (records.length > 0) await log.append(records);
    if (state.failing !== null) logger.info({}, 'event log takes allocation chunks again');
    state.failing = null;
    return true;
  } catch (error) {
    const reason = (error as Error).message;
    if (state.failing === null) logger.warn({ reason }, 'event log takes no allocation chunks; keeping the newest');
    state.failing = reason;
    return false;
  }
}
