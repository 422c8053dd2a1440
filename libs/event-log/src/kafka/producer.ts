import { setMaxListeners } from 'node:events';
import { EventLogError } from '../errors.js';
import { backoffDelay, sleep } from '../timing.js';
import type { Connections } from './connections.js';
import { warnUnlessAway, type Warn } from './failures.js';
import { Code, isRefused, ProtocolError } from './protocol-errors.js';
import { PartitionQueue, type Batch, type Chunk, type ProducerIdentity } from './producer-queue.js';
import { refusedTopic, type TopicDirectory } from './topic-directory.js';

/** One batch of one partition; a larger record goes alone. */
const BATCH_BYTES = 512 * 1024;
/** All batches of one request. */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** A change of leaders takes this many tries without being worth a word. */
const PATIENT_TRIES = 4;
/** Leaders are not asked for more often. */
const REFRESH_PAUSE_MS = 100;
const PAUSE = { initialMs: 20, maxMs: 1_000 };

/** The broker has not got the batch and will not: trying again does not help. */
const HOPELESS: readonly number[] = [Code.InvalidTimestamp, Code.InvalidRecord];
/** The row of sequence numbers is broken: a new one begins. */
const BROKEN: readonly number[] = [Code.OutOfOrderSequence, Code.InvalidProducerEpoch, Code.UnknownProducerId];

export interface ProducerPorts {
  connections: Connections;
  directory: TopicDirectory;
  requestTimeoutMs: number;
  warn: Warn;
}

interface ProduceAnswer {
  topics: { topicName: string; partitions: { partition: number; errorCode: number }[] }[];
}

/**
 * Sends batches, one request per broker at a time and one batch per partition under way, each with the number of this
 * producer and its place in the partition's row: a broker that has a batch already does not write it twice, and none is
 * written before the one ahead of it.
 */
export class Producer {
  readonly #ports: ProducerPorts;
  readonly #queues = new Map<string, Map<number, PartitionQueue>>();
  readonly #busy = new Set<number>();
  #id: ProducerIdentity | undefined;
  #identifying: Promise<void> | undefined;
  readonly #refreshing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;
  readonly #ended = new AbortController();

  constructor(ports: ProducerPorts) {
    this.#ports = ports;
    // Whatever waits, for each partition and call, listens for the end.
    setMaxListeners(0, this.#ended.signal);
  }

  /** Takes a chunk behind all that was taken for its partition before. */
  push(topic: string, partition: number, chunk: Chunk): void {
    this.#queue(topic, partition).push(chunk);
    this.#soon();
  }

  /** Some appends were given up. */
  dropSettled(): void {
    for (const queues of this.#queues.values()) for (const queue of queues.values()) queue.dropSettled();
  }

  close(): void {
    this.#ended.abort();
    clearTimeout(this.#timer);
  }

  get #closed(): boolean {
    return this.#ended.signal.aborted;
  }

  #queue(topic: string, partition: number): PartitionQueue {
    let queues = this.#queues.get(topic);
    if (!queues) this.#queues.set(topic, (queues = new Map()));
    let queue = queues.get(partition);
    if (!queue) queues.set(partition, (queue = new PartitionQueue(topic, partition, BATCH_BYTES)));
    return queue;
  }

  /** What is appended in the same turn goes into the same request. */
  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#closed) this.#send();
    });
  }

  #later(at: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#soon(), Math.max(1, at - performance.now()));
  }

  #send(): void {
    const now = performance.now();
    let next = Infinity;
    const perNode = new Map<number, PartitionQueue[]>();
    for (const [topic, queues] of this.#queues) {
      const layout = this.#ports.directory.known(topic);
      for (const queue of queues.values()) {
        if (queue.busy || queue.isEmpty) continue;
        if (queue.notBefore > now) {
          next = Math.min(next, queue.notBefore);
          continue;
        }
        const leader = layout?.leaders[queue.partition] ?? -1;
        if (leader < 0) {
          this.#refresh(topic);
          continue;
        }
        const list = perNode.get(leader);
        if (list) list.push(queue);
        else perNode.set(leader, [queue]);
      }
    }
    if (next < Infinity) this.#later(next);
    if (perNode.size === 0) return;
    if (!this.#id) return this.#identify();
    for (const [node, queues] of perNode) if (!this.#busy.has(node)) void this.#request(node, queues);
  }

  #identify(): void {
    this.#identifying ??= (async () => {
      for (let attempt = 1; !this.#closed && !this.#id; attempt++) {
        try {
          const answer = (await this.#ports.connections.askAny('InitProducerId', {
            transactionalId: null,
            transactionTimeout: 60_000,
          })) as { errorCode: number; producerId: string; producerEpoch: number };
          if (answer.errorCode !== Code.None) throw new ProtocolError(answer.errorCode, 'InitProducerId');
          this.#id = { id: answer.producerId, epoch: answer.producerEpoch };
        } catch (error) {
          if (attempt > PATIENT_TRIES)
            warnUnlessAway(this.#ports.warn, error, 'Kafka: no number for this producer', 'producer');
          await sleep(backoffDelay(attempt, PAUSE), this.#ended.signal);
        }
      }
    })().finally(() => {
      this.#identifying = undefined;
      this.#soon();
    });
  }

  async #request(node: number, candidates: PartitionQueue[]): Promise<void> {
    const sent: { queue: PartitionQueue; batch: Batch }[] = [];
    let bytes = 0;
    // Who was last this time is first the next time.
    const turn = Math.floor(Math.random() * candidates.length);
    for (let index = 0; index < candidates.length; index++) {
      const queue = candidates[(index + turn) % candidates.length]!;
      const batch = queue.head();
      if (!batch || (sent.length > 0 && bytes + batch.bytes > REQUEST_BYTES)) continue;
      this.#place(queue, batch);
      // One request has the number of one producer.
      if (sent.length > 0 && batch.producer !== sent[0]!.batch.producer) continue;
      bytes += batch.bytes;
      queue.busy = true;
      batch.attempts++;
      sent.push({ queue, batch });
    }
    if (sent.length === 0) return;
    this.#busy.add(node);
    try {
      const answer = await this.#produce(node, sent);
      for (const { queue, batch } of sent) this.#answered(queue, batch, codeOf(answer, queue));
    } catch (error) {
      for (const { queue, batch } of sent) this.#unanswered(queue, batch, error);
      for (const topic of new Set(sent.map(({ queue }) => queue.topic))) this.#refresh(topic);
    } finally {
      this.#busy.delete(node);
      for (const { queue } of sent) queue.busy = false;
      this.#soon();
    }
  }

  /** Gives the batch its place in the row. It keeps it when it is sent again, also when a new row has begun elsewhere. */
  #place(queue: PartitionQueue, batch: Batch): void {
    if (batch.producer) return;
    if (queue.producer !== this.#id) {
      queue.producer = this.#id;
      queue.nextSequence = 0;
    }
    batch.producer = this.#id;
    batch.sequence = queue.nextSequence;
    // 32 bits, and behind the largest comes 0.
    queue.nextSequence = (queue.nextSequence + batch.messages.length) % 2 ** 31;
  }

  async #produce(node: number, sent: { queue: PartitionQueue; batch: Batch }[]): Promise<ProduceAnswer> {
    const topics = new Map<string, { partition: number; firstSequence: number; messages: object[] }[]>();
    for (const { queue, batch } of sent) {
      const partitions = topics.get(queue.topic) ?? [];
      topics.set(queue.topic, partitions);
      partitions.push({ partition: queue.partition, firstSequence: batch.sequence!, messages: batch.messages });
    }
    const { id, epoch } = sent[0]!.batch.producer!;
    return (await this.#ports.connections.ask(node, 'Produce', {
      acks: -1,
      timeout: Math.max(1_000, this.#ports.requestTimeoutMs - 1_000),
      compression: 0,
      transactionalId: null,
      producerId: id,
      producerEpoch: epoch,
      topicData: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    })) as unknown as ProduceAnswer;
  }

  #answered(queue: PartitionQueue, batch: Batch, code: number | undefined): void {
    if (code === Code.None || code === Code.DuplicateSequence) return this.#done(queue, batch);
    if (code === Code.MessageTooLarge || code === Code.RecordListTooLarge) {
      // It is not in the log, so its place in the row is free again.
      queue.nextSequence = batch.sequence!;
      if (queue.split()) return;
      const { key, bytes } = batch.messages[0]!;
      return this.#done(
        queue,
        batch,
        new EventLogError(
          'EVENT_LOG_RECORD_TOO_LARGE',
          `record of ${queue.topic} with key ${JSON.stringify(key.toString().slice(0, 80))} has ${bytes} bytes, more than max.message.bytes of the topic allows: cut it into parts, or allow more`,
          false,
        ),
      );
    }
    if (code !== undefined && (HOPELESS.includes(code) || isRefused(code))) {
      queue.nextSequence = batch.sequence!;
      return this.#done(queue, batch, hopeless(queue, code));
    }
    if (code !== undefined && BROKEN.includes(code)) {
      // The broker forgot the row: a new one begins, under a new number.
      if (this.#id === batch.producer) this.#id = undefined;
      batch.producer = undefined;
    } else {
      this.#refresh(queue.topic);
    }
    // A broker that ran out of time may have written it all the same.
    this.#unanswered(queue, batch, new ProtocolError(code ?? -1, 'Produce', queue.topic));
  }

  #unanswered(queue: PartitionQueue, batch: Batch, error: unknown): void {
    if (this.#closed) return;
    batch.inDoubt = true;
    queue.busy = false;
    queue.dropSettled();
    if (error instanceof EventLogError && !error.retriable) return this.#done(queue, batch, error);
    if (batch.attempts > PATIENT_TRIES) {
      warnUnlessAway(
        this.#ports.warn,
        error,
        `Kafka: ${queue.topic}[${queue.partition}] takes no records`,
        `append to ${queue.topic}`,
      );
    }
    queue.notBefore = performance.now() + backoffDelay(batch.attempts, PAUSE);
  }

  #done(queue: PartitionQueue, batch: Batch, error?: Error): void {
    queue.finish();
    for (const { chunk, messages } of batch.chunks) {
      if (messages > 0) chunk.settle(error);
    }
  }

  #refresh(topic: string): void {
    if (this.#refreshing.has(topic) || this.#closed) return;
    this.#refreshing.add(topic);
    void this.#ports.directory
      .refresh(topic)
      .catch((error: unknown) =>
        warnUnlessAway(this.#ports.warn, error, `Kafka: leaders of ${topic} are not known`, `leaders of ${topic}`),
      )
      .then(() => sleep(REFRESH_PAUSE_MS, this.#ended.signal))
      .then(() => {
        this.#refreshing.delete(topic);
        this.#soon();
      });
  }
}

function codeOf(answer: ProduceAnswer, { topic, partition }: PartitionQueue): number | undefined {
  const found = answer.topics.find((one) => one.topicName === topic);
  return found?.partitions.find((one) => one.partition === partition)?.errorCode;
}

function hopeless(queue: PartitionQueue, code: number): EventLogError {
  if (isRefused(code)) return refusedTopic(queue.topic, code);
  const why = code === Code.InvalidTimestamp ? 'its timestamp is out of bounds' : 'its topic wants other records';
  return new EventLogError(
    'EVENT_LOG_INVALID',
    `record of ${queue.topic} is refused by Kafka (error ${code}): ${why}`,
    false,
  );
}
