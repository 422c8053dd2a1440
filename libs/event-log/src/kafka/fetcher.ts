import { setMaxListeners } from 'node:events';
import { EventLogError } from '../errors.js';
import { backoffDelay, Pulse, sleep } from '../timing.js';
import type { Connections } from './connections.js';
import { warnUnlessAway, type Warn } from './failures.js';
import { readFetchAnswer, type FetchedPartition } from './fetch-answer.js';
import type { PartitionFeed } from './partition-feed.js';
import { Code, isRefused } from './protocol-errors.js';
import { readBatches } from './record-batch.js';
import { refusedTopic, type TopicDirectory } from './topic-directory.js';

const PARTITION_BYTES = 1024 * 1024;
const ANSWER_BYTES = 8 * 1024 * 1024;
/** An answer with less than this is followed by a pause: it costs reader and broker as much as one that is full. */
const LITTLE_BYTES = 256 * 1024;
const PAUSE = { initialMs: 50, maxMs: 2_000 };
/** Leaders are asked for again after this time: one that is cut off from the others does not know that it leads no more. */
const LAYOUT_AGE_MS = 300_000;

export interface FetcherPorts {
  connections: Connections;
  directory: TopicDirectory;
  topic: string;
  fetchWaitMs: number;
  fetchPauseMs: number;
  /** The position is not in the log; `feed.seeking` is set until the answer resolves. */
  onOutOfRange(feed: PartitionFeed): Promise<void>;
  onUnreadable(records: number): void;
  onFatal(error: Error): void;
  warn: Warn;
}

/** Reads the partitions of one topic: one loop for each broker that leads some of them. */
export class Fetcher {
  readonly #ports: FetcherPorts;
  readonly #feeds = new Set<PartitionFeed>();
  readonly #loops = new Map<number, Promise<void>>();
  readonly #changed = new Pulse();
  readonly #ended = new AbortController();
  #refreshing: Promise<void> | undefined;
  #failures = 0;
  #heardAt = performance.now();

  constructor(ports: FetcherPorts) {
    this.#ports = ports;
    // Whatever waits, for each partition and call, listens for the end.
    setMaxListeners(0, this.#ended.signal);
    // A partition that moved to a broker without a loop would be read by none, if others had asked who leads it.
    ports.directory.onAnswer(() => {
      this.#heardAt = performance.now();
      this.#arrange();
    });
  }

  add(feed: PartitionFeed): void {
    this.#feeds.add(feed);
    this.#arrange();
  }

  remove(feed: PartitionFeed): void {
    this.#feeds.delete(feed);
    this.#changed.fire();
  }

  /** A feed wants more than before. */
  look(): void {
    this.#changed.fire();
  }

  end(): void {
    this.#ended.abort();
  }

  /** Resolves when no loop runs any more. */
  async stopped(): Promise<void> {
    await Promise.allSettled([...this.#loops.values(), this.#refreshing]);
  }

  #leader(feed: PartitionFeed): number {
    return this.#ports.directory.known(this.#ports.topic)?.leaders[feed.partition] ?? -1;
  }

  #arrange(): void {
    if (this.#ended.signal.aborted) return;
    for (const feed of this.#feeds) {
      const leader = this.#leader(feed);
      if (leader < 0) this.#refresh();
      else if (!this.#loops.has(leader)) this.#loops.set(leader, this.#run(leader));
    }
    this.#changed.fire();
  }

  /** Asks who leads now; more slowly the longer it does not help. */
  #refresh(): Promise<void> {
    this.#refreshing ??= (async () => {
      const { directory, topic, warn } = this.#ports;
      await sleep(backoffDelay(++this.#failures, PAUSE), this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      try {
        await directory.refresh(topic);
      } catch (error) {
        if (error instanceof EventLogError && error.code === 'EVENT_LOG_ACCESS') this.#ports.onFatal(error);
        warnUnlessAway(warn, error, `Kafka: leaders of ${topic} are not known`, `leaders of ${topic}`);
      }
    })().finally(() => {
      this.#refreshing = undefined;
      this.#arrange();
    });
    return this.#refreshing;
  }

  async #run(node: number): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const led = [...this.#feeds].filter((feed) => this.#leader(feed) === node);
      if (led.length === 0) break;
      if (performance.now() - this.#heardAt > LAYOUT_AGE_MS) void this.#refresh();
      const wanting = led.filter((feed) => feed.wantsMore);
      if (wanting.length === 0) await this.#changed.next(signal);
      else {
        const bytes = await this.#fetch(node, wanting);
        if (bytes > 0 && bytes < LITTLE_BYTES) await sleep(this.#ports.fetchPauseMs, signal);
      }
    }
    this.#loops.delete(node);
  }

  /** One request; gives the bytes of the batches that were answered, 0 when it failed. */
  async #fetch(node: number, feeds: readonly PartitionFeed[]): Promise<number> {
    const { connections, topic, fetchWaitMs, warn } = this.#ports;
    const asked = new Map(feeds.map((feed) => [feed.partition, { feed, from: feed.position }]));
    try {
      const answer = (await connections.ask(
        node,
        'Fetch',
        fetchRequest(topic, asked, fetchWaitMs),
        readFetchAnswer,
      )) as {
        errorCode: number;
        partitions: FetchedPartition[];
      } & Record<string, unknown>;
      let trouble = answer.errorCode !== Code.None;
      let bytes = 0;
      for (const fetched of answer.partitions) {
        bytes += fetched.batches.length;
        const one = asked.get(fetched.partition);
        if (one && this.#feeds.has(one.feed) && one.feed.position === one.from)
          trouble = this.#take(one.feed, fetched) || trouble;
      }
      if (trouble) await this.#refresh();
      else this.#failures = 0;
      return bytes;
    } catch (error) {
      if (this.#ended.signal.aborted) return 0;
      if (error instanceof EventLogError && error.code === 'EVENT_LOG_ACCESS') {
        this.#ports.onFatal(error);
        return 0;
      }
      warnUnlessAway(warn, error, `Kafka: ${topic} is not read`, `fetch of ${topic}`);
      await this.#refresh();
      return 0;
    }
  }

  /** True when somebody else should be asked. */
  #take(feed: PartitionFeed, { errorCode, batches }: FetchedPartition): boolean {
    const { topic, warn, onUnreadable, onOutOfRange, onFatal } = this.#ports;
    if (errorCode === Code.OffsetOutOfRange) {
      feed.seeking = true;
      void onOutOfRange(feed).finally(() => {
        feed.seeking = false;
        this.look();
      });
      return false;
    }
    if (isRefused(errorCode)) {
      onFatal(refusedTopic(topic, errorCode));
      return true;
    }
    if (errorCode !== Code.None) return true;
    const read = readBatches(batches, feed.position);
    if (read.unreadable > 0) {
      onUnreadable(read.unreadable);
      warn(
        `Kafka: records of ${topic}[${feed.partition}] cannot be read (${read.why}) and are left out`,
        `unreadable ${topic}[${feed.partition}]`,
      );
    }
    feed.accept(read);
    return false;
  }
}

function fetchRequest(topic: string, asked: ReadonlyMap<number, { from: number }>, maxWaitTime: number): object {
  const partitions = [...asked].map(([partition, { from }]) => ({
    partition,
    fetchOffset: String(from),
    maxBytes: PARTITION_BYTES,
  }));
  // Another one first each time, for the answer ends where it is full.
  const turn = Math.floor(Math.random() * partitions.length);
  return {
    isolationLevel: 0,
    maxWaitTime,
    minBytes: 1,
    maxBytes: ANSWER_BYTES,
    topics: [{ topic, partitions: [...partitions.slice(turn), ...partitions.slice(0, turn)] }],
  };
}
