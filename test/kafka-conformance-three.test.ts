import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { describeConformance } from '@tidemark/event-log/conformance';
import { clientsOf, noKafka, startTestCluster, type TestCluster } from './support/kafka-log.js';

/** The broker dies while this test of the suite runs, and is back while that one does. */
const KILLED_IN = 12;
const BACK_IN = 28;

describe.skipIf(noKafka)(`with three brokers, one killed in the middle${noKafka ? ` (${noKafka})` : ''}`, () => {
  let cluster: TestCluster;
  let back: Promise<void> | undefined;
  let count = 0;
  beforeAll(async () => {
    cluster = await startTestCluster({ brokers: 3, memoryMb: 256 });
  }, 240_000);
  afterAll(async () => {
    await back;
    await cluster?.destroy();
  }, 120_000);

  beforeEach(() => {
    const broker = cluster.brokers[1]!;
    count++;
    // Neither is waited for: what the suite promises holds at every moment of it.
    if (count === KILLED_IN) setTimeout(() => void broker.kill(), 100);
    if (count === BACK_IN) back = broker.start();
  });

  describeConformance(
    'the Kafka event log',
    clientsOf(() => cluster),
  );
});
