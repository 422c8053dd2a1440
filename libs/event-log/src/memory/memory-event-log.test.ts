import { describeConformance } from '../conformance.js';
import type { EventLog } from '../event-log.js';
import { MemoryEventLog, openBroker } from './memory-event-log.js';
import { resolveOptions } from './options.js';

describeConformance('the memory event log', async () => {
  const options = resolveOptions({ commitIntervalMs: 100, retry: { initialMs: 5, maxMs: 50 } });
  const broker = await openBroker(options);
  const clients = new Map<EventLog, MemoryEventLog>();
  return {
    async open() {
      const client = new MemoryEventLog(broker, options);
      clients.set(client, client);
      return client;
    },
    async crash(log) {
      clients.get(log)?.abandon();
    },
    destroy: () => broker.close(),
  };
});
