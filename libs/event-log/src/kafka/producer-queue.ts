import { Pulse } from '../timing.js';

/** A record as it goes to a broker. */
export interface Message {
  key: Buffer;
  value: Buffer | null;
  headers: Readonly<Record<string, string>>;
  timestamp: number;
  bytes: number;
}

/** What one `append` has for one partition; settled once, by the answer of the broker or by its deadline. */
export interface Chunk {
  messages: Message[];
  settle(error?: Error): void;
  settled: boolean;
}

/** Under which a producer's batches stand in rows, one row for each partition. */
export interface ProducerIdentity {
  id: string;
  epoch: number;
}

/** Messages that went, or will go, to the broker together; a try again sends exactly the same ones. */
export interface Batch {
  messages: Message[];
  chunks: { chunk: Chunk; messages: number }[];
  bytes: number;
  /** Where the batch stands in the row of its producer; undefined until it is sent for the first time. */
  sequence: number | undefined;
  producer: ProducerIdentity | undefined;
  attempts: number;
  /** True when a broker may have it without having said so. */
  inDoubt: boolean;
  /** True when its bytes are its own. */
  copied: boolean;
}

/** Messages of one partition, in the order of the calls of `append`; one batch of them is under way at a time. */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  readonly #maxBatchBytes: number;
  readonly #chunks: Chunk[] = [];
  #head: Batch | undefined;
  /** True while a request with the head batch is under way. */
  busy = false;
  /** As `performance.now()` counts: not to be sent before. */
  notBefore = 0;
  nextSequence = 0;
  producer: ProducerIdentity | undefined;

  constructor(topic: string, partition: number, maxBatchBytes: number) {
    this.topic = topic;
    this.partition = partition;
    this.#maxBatchBytes = maxBatchBytes;
  }

  get isEmpty(): boolean {
    return this.#head === undefined && this.#chunks.length === 0;
  }

  push(chunk: Chunk): void {
    this.#chunks.push(chunk);
  }

  /** The batch to be sent now: the one that failed before, or as many messages as go into one. */
  head(): Batch | undefined {
    this.#head ??= this.#gather(this.#maxBatchBytes, Infinity);
    return this.#head;
  }

  /** The broker has the batch, or will never have it. */
  finish(): void {
    this.#head = undefined;
  }

  /** A batch that is too large comes again as single messages. False when it is one message already. */
  split(): boolean {
    const head = this.#head;
    if (!head || head.messages.length === 1) return false;
    let at = 0;
    const parts: Chunk[] = [];
    for (const { chunk, messages } of head.chunks) {
      const shared = shareOf(chunk, messages);
      for (let index = 0; index < messages; index++) parts.push(shared([head.messages[at++]!]));
    }
    this.#chunks.unshift(...parts);
    this.#head = this.#gather(0, 1);
    return true;
  }

  /**
   * Drops what nobody waits for any more. A batch that the broker may have stays until it is known, so that nothing
   * passes it; its bytes are copied, for the caller may use his own again.
   */
  dropSettled(): void {
    for (let index = this.#chunks.length - 1; index >= 0; index--) {
      if (this.#chunks[index]!.settled) this.#chunks.splice(index, 1);
    }
    const head = this.#head;
    if (!head || !head.chunks.every(({ chunk }) => chunk.settled)) return;
    if (!head.inDoubt && !this.busy) this.#head = undefined;
    else if (!head.copied) {
      head.copied = true;
      for (const message of head.messages) message.value &&= Buffer.from(message.value);
    }
  }

  #gather(maxBytes: number, maxChunks: number): Batch | undefined {
    const messages: Message[] = [];
    const chunks: Batch['chunks'] = [];
    let bytes = 0;
    while (this.#chunks.length > 0 && chunks.length < maxChunks) {
      const chunk = this.#chunks[0]!;
      if (chunk.settled) {
        this.#chunks.shift();
        continue;
      }
      let taken = 0;
      for (const message of chunk.messages) {
        if (messages.length > 0 && bytes + message.bytes > maxBytes) break;
        messages.push(message);
        bytes += message.bytes;
        taken++;
      }
      if (taken === 0) break;
      chunks.push({ chunk, messages: taken });
      if (taken === chunk.messages.length) {
        this.#chunks.shift();
        continue;
      }
      // The rest of a large append goes into the next batch; the append is done when both are.
      const shared = shareOf(chunk, 2);
      chunks[chunks.length - 1]!.chunk = shared(chunk.messages.slice(0, taken));
      this.#chunks[0] = shared(chunk.messages.slice(taken));
      break;
    }
    if (messages.length === 0) return undefined;
    return {
      messages,
      chunks,
      bytes,
      sequence: undefined,
      producer: undefined,
      attempts: 0,
      inDoubt: false,
      copied: false,
    };
  }
}

/** Cuts a chunk into parts; it is settled when all are, or one failed. */
function shareOf(whole: Chunk, parts: number): (messages: Message[]) => Chunk {
  let left = parts;
  return (messages) => ({
    messages,
    get settled() {
      return whole.settled;
    },
    settle(error) {
      if (error || --left === 0) whole.settle(error);
    },
  });
}

/** Bytes of all appends that wait, bounded: who comes later waits for room. */
export class Room {
  readonly #limit: number;
  readonly #freed = new Pulse();
  bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.bytes >= this.#limit;
  }

  take(bytes: number): void {
    this.bytes += bytes;
  }

  give(bytes: number): void {
    this.bytes -= bytes;
    this.#freed.fire();
  }

  freed(signal: AbortSignal): Promise<void> {
    return this.#freed.next(signal);
  }
}
