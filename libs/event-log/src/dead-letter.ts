import { deadLetterTopic } from '@tidemark/contracts';
import type { LogRecord, OutgoingRecord } from './event-log.js';

/** Headers of a record in a dead-letter topic, beside those it had. */
export const DeadLetterHeader = {
  Topic: 'dlq-topic',
  Partition: 'dlq-partition',
  Offset: 'dlq-offset',
  Group: 'dlq-group',
  /** Code of the error when it has one, else its name. */
  Code: 'dlq-code',
  /** Message of the error, cut to 1,000 characters. */
  Reason: 'dlq-reason',
  /** How often it was tried; 0 when the handler rejected it by itself. */
  Tries: 'dlq-tries',
  /** Epoch milliseconds. */
  At: 'dlq-at',
} as const;

const SUFFIX = deadLetterTopic('');

export function isDeadLetterTopic(topic: string): boolean {
  return topic.endsWith(SUFFIX);
}

/** The record as it goes to the dead-letter topic: same key, value and headers, and why it is there. */
export function toDeadLetter(record: LogRecord, group: string, reason: unknown, tries: number): OutgoingRecord {
  const error = reason instanceof Error ? reason : new Error(String(reason));
  const code = (error as { code?: unknown }).code;
  return {
    topic: deadLetterTopic(record.topic),
    key: record.key,
    value: record.value,
    timestamp: record.timestamp,
    headers: {
      ...record.headers,
      [DeadLetterHeader.Topic]: record.topic,
      [DeadLetterHeader.Partition]: String(record.partition),
      [DeadLetterHeader.Offset]: String(record.offset),
      [DeadLetterHeader.Group]: group,
      [DeadLetterHeader.Code]: typeof code === 'string' ? code : error.name,
      [DeadLetterHeader.Reason]: error.message.slice(0, 1000),
      [DeadLetterHeader.Tries]: String(tries),
      [DeadLetterHeader.At]: String(Date.now()),
    },
  };
}
