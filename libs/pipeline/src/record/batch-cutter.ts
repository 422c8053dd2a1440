import type { LogRecord } from '@tidemark/event-log';

/** A record that can be written, as it waits. */
export interface Waiting {
  record: LogRecord;
  bytes: number;
  rows: number;
  /** When it was delivered, milliseconds of a clock that only goes on. */
  since: number;
}

/** Consecutive records that are written together; their offsets name it. */
export interface Batch {
  number: number;
  first: number;
  last: number;
  records: LogRecord[];
  bytes: number;
  /** Of the largest table that it fills. */
  rows: number;
  /** True when it was under way before: some of it may be written. */
  again: boolean;
  /** Names the insert that it shares with batches of other partitions. */
  shared?: string;
}

/** What the log says of a batch that was under way. */
export interface UnderWay {
  first: number;
  last: number;
  shared?: string;
}

export interface CutLimits {
  maxBytes: number;
  maxRows: number;
}

/** What the log no longer has of a batch that was under way. */
export interface Loss {
  first: number;
  last: number;
  /** False when some of it can still be written. */
  whole: boolean;
}

/**
 * Cuts the records of one partition into batches. A batch that was under way before a restart is cut by the same
 * offsets again, whatever the limits are now.
 */
export class BatchCutter {
  readonly #limits: CutLimits;
  readonly #onLoss: (loss: Loss) => void;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #rows = 0;
  #number: number;
  #underWay: UnderWay | undefined;

  /** @param newest number of the newest batch, also when that is the one under way */
  constructor(limits: CutLimits, newest: number, underWay: UnderWay | undefined, onLoss: (loss: Loss) => void) {
    this.#limits = limits;
    this.#number = newest;
    this.#underWay = underWay;
    this.#onLoss = onLoss;
  }

  get records(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Since when the oldest record waits; undefined when none does. */
  get since(): number | undefined {
    return this.#waiting[0]?.since;
  }

  /** True while records of a batch that was under way are still to come. */
  get incomplete(): boolean {
    return this.#underWay !== undefined && (this.#waiting.at(-1)?.record.offset ?? -1) < this.#underWay.last;
  }

  /** True when a batch is as large as it may be, or all of one that was under way is there. */
  get full(): boolean {
    if (this.#underWay) return !this.incomplete;
    return this.#bytes >= this.#limits.maxBytes || this.#rows >= this.#limits.maxRows;
  }

  push(one: Waiting): void {
    this.#waiting.push(one);
    this.#bytes += one.bytes;
    this.#rows += one.rows;
  }

  /** The next batch, also a small one; undefined when there is none to cut now. */
  cut(limits: CutLimits = this.#limits): Batch | undefined {
    if (this.incomplete) return undefined;
    const again = this.#underWay && this.#cutAgain(this.#underWay);
    if (again) return again;
    if (this.#waiting.length === 0) return undefined;
    const taken = this.#take(this.#nextCount(limits));
    const { records } = taken;
    const [first, last] = [records[0]!.offset, records.at(-1)!.offset];
    return { number: ++this.#number, first, last, ...taken, again: false };
  }

  #cutAgain({ first, last, shared }: UnderWay): Batch | undefined {
    const beyond = this.#waiting.findIndex(({ record }) => record.offset > last);
    const taken = this.#take(beyond < 0 ? this.#waiting.length : beyond);
    this.#underWay = undefined;
    const from = taken.records[0]?.offset;
    if (from !== first) this.#onLoss({ first, last, whole: from === undefined });
    if (from === undefined) return undefined;
    return { number: this.#number, first, last, ...taken, again: true, ...(shared !== undefined && { shared }) };
  }

  /** One record at least, more while they stay within the limits. */
  #nextCount({ maxBytes, maxRows }: CutLimits): number {
    let [bytes, rows] = [0, 0];
    const beyond = this.#waiting.findIndex((one, index) => {
      bytes += one.bytes;
      rows += one.rows;
      return index > 0 && (bytes > maxBytes || rows > maxRows);
    });
    return beyond < 0 ? this.#waiting.length : beyond;
  }

  #take(count: number): { records: LogRecord[]; bytes: number; rows: number } {
    const taken = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    let [bytes, rows] = [0, 0];
    for (const one of taken) {
      bytes += one.bytes;
      rows += one.rows;
    }
    this.#bytes -= bytes;
    this.#rows -= rows;
    return { records: taken.map(({ record }) => record), bytes, rows };
  }
}
