import { controlKey, encodeControlRecord, Topic, type ControlRecord, type ControlSender } from '@tidemark/contracts';
import type { EventLog, OutgoingRecord } from '@tidemark/event-log';
import type { ReadPacket } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { EventLogClient } from './event-log-client.js';

/** Sends requests and answers over a client of `@nestjs/microservices`. */
export function openControlClient(log: Pick<EventLog, 'append'>): ControlSender {
  const client = new EventLogClient({ log, write: writeControl });
  return {
    send: (record) => lastValueFrom(client.emit<void>(record.type, record), { defaultValue: undefined }),
  };
}

function writeControl({ data }: ReadPacket<ControlRecord>): OutgoingRecord {
  return { topic: Topic.Control, key: controlKey(data.node, data.pid), ...encodeControlRecord(data) };
}
