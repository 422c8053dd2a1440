import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeConformance } from '../conformance.js';
import type { EventLog } from '../event-log.js';
import type { Broker } from '../memory/broker.js';
import { MemoryEventLog, openBroker } from '../memory/memory-event-log.js';
import { resolveOptions } from '../memory/options.js';

describeConformance('the memory event log with a journal', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-journal-'));
  const options = resolveOptions({
    commitIntervalMs: 100,
    retry: { initialMs: 5, maxMs: 50 },
    // Small, so that records are read back and files are changed in every test.
    journal: { directory, segmentBytes: 64 * 1024, memoryBytes: 256 * 1024 },
  });
  let broker: Broker | undefined;
  const clients = new Map<EventLog, MemoryEventLog>();
  return {
    async open() {
      broker ??= await openBroker(options);
      // The last client takes the embedded log with it.
      const client: MemoryEventLog = new MemoryEventLog(broker, options, async () => {
        clients.delete(client);
        if (clients.size > 0) return;
        await broker?.close();
        broker = undefined;
      });
      clients.set(client, client);
      return client;
    },
    async crash(log) {
      clients.get(log)?.abandon();
      clients.delete(log);
      if (clients.size > 0) return;
      await broker?.abandon();
      broker = undefined;
    },
    async destroy() {
      await broker?.close();
      await rm(directory, { recursive: true });
    },
  };
});
