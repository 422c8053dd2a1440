import { afterAll, beforeAll, describe } from 'vitest';
import { describeConformance } from '@tidemark/event-log/conformance';
import { clientsOf, noKafka, startTestCluster, type TestCluster } from './support/kafka-log.js';

describe.skipIf(noKafka)(`with a broker of Apache Kafka${noKafka ? ` (${noKafka})` : ''}`, () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster();
  }, 120_000);
  afterAll(() => cluster?.destroy(), 60_000);

  describeConformance(
    'the Kafka event log',
    clientsOf(() => cluster),
  );
});
