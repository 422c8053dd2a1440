import type { EventLog } from '@tidemark/event-log';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { controlScenarios } from './support/control-scenarios.js';
import { noKafka, startTestCluster, type TestCluster } from './support/kafka-log.js';

describe.skipIf(noKafka)(`the control path over Kafka${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
  let cluster: TestCluster;
  const clients: EventLog[] = [];
  beforeAll(async () => {
    cluster = await startTestCluster();
  }, 120_000);
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close(2_000)));
  }, 60_000);
  afterAll(() => cluster?.destroy(), 60_000);
  controlScenarios(async () => {
    const client = await cluster.open();
    clients.push(client);
    return client;
  });
});
