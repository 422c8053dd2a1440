export { DeadLetterHeader, toDeadLetter } from './dead-letter.js';
export * from './errors.js';
export * from './event-log.js';
export { createInFlight, type InFlight } from './in-flight.js';
export { createMemoryEventLog } from './memory/memory-event-log.js';
export type { JournalOptions, MemoryEventLogOptions } from './memory/options.js';
export { murmur2, partitionOf } from './partitioner.js';
