import type { EventLog, OutgoingRecord } from '@tidemark/event-log';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';

export interface EventLogClientOptions {
  log: Pick<EventLog, 'append'>;
  /** The record that carries the message. */
  write(packet: ReadPacket): OutgoingRecord;
}

/**
 * The other end of `EventLogServer`: `emit` completes when the log has the record, and fails as `append` does. Whoever
 * wants an answer reads the topic: `send` is refused.
 */
export class EventLogClient extends ClientProxy {
  readonly #options: EventLogClientOptions;

  constructor(options: EventLogClientOptions) {
    super();
    this.#options = options;
  }

  override async connect(): Promise<void> {}

  override close(): void {}

  override unwrap<T>(): T {
    return this.#options.log as T;
  }

  protected override publish(_: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    callback({ err: new Error('the event log gives no replies: emit, and read the answers from the topic') });
    return () => {};
  }

  protected override async dispatchEvent(packet: ReadPacket): Promise<never> {
    await this.#options.log.append([this.#options.write(packet)]);
    return undefined as never;
  }
}
