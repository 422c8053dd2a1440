import { LEAK_STATES } from '@tidemark/contracts';
import type { DetectorProfile } from './profile.js';
import { createServiceBook, type ServiceBook, type ServiceRecord } from './service-book.js';

const VERSION = 1;

/** A book as JSON. */
export interface ServiceBookSnapshot {
  v: number;
  profile: string;
  services: [string, ServiceRecord][];
}

export function serializeServiceBook(book: ServiceBook): ServiceBookSnapshot {
  return { v: VERSION, profile: book.profile.name, services: structuredClone([...book.services]) };
}

/** @throws RangeError for a snapshot of another version or profile, or of another shape: begin with an empty book. */
export function reviveServiceBook(profile: DetectorProfile, snapshot: ServiceBookSnapshot): ServiceBook {
  if (snapshot.v !== VERSION || snapshot.profile !== profile.name || !Array.isArray(snapshot.services)) {
    throw new RangeError(
      `service book snapshot: version ${String(snapshot.v)} of profile ${String(snapshot.profile)} is not version ` +
        `${VERSION} of ${profile.name}; begin with an empty book`,
    );
  }
  const book = createServiceBook(profile);
  for (const [service, record] of structuredClone(snapshot.services)) {
    if (typeof service !== 'string' || !isServiceRecord(record)) {
      throw new RangeError(
        `service book snapshot: ${JSON.stringify(service)} has no usable record; begin with an empty book`,
      );
    }
    book.services.set(service, record);
  }
  return book;
}

function isServiceRecord(record: unknown): record is ServiceRecord {
  if (typeof record !== 'object' || record === null) return false;
  const { epochs, suspects, state, told, since, clearedAt, openedAt } = record as Record<string, unknown>;
  return (
    areNumeric(epochs, ['startedAt', 'endedAt', 'score', 'variance', 'slope', 'tail', 'growth', 'bytes', 'peak']) &&
    areNumeric(suspects, ['startedAt', 'at']) &&
    LEAK_STATES.some((known) => known === state) &&
    LEAK_STATES.some((known) => known === told) &&
    Number.isFinite(since) &&
    Number.isFinite(clearedAt) &&
    (openedAt === null || Number.isFinite(openedAt))
  );
}

function areNumeric(list: unknown, fields: readonly string[]): boolean {
  if (!Array.isArray(list)) return false;
  return list.every(
    (one: unknown) =>
      typeof one === 'object' &&
      one !== null &&
      fields.every((field) => Number.isFinite((one as Record<string, unknown>)[field])),
  );
}
