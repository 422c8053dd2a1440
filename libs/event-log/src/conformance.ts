import { afterEach, beforeEach, describe, test } from 'vitest';
import { createBench, type Bench, type LogFactory } from './conformance/bench.js';
import { deliveryPromises } from './conformance/delivery.js';
import { flowPromises } from './conformance/flow.js';
import { groupPromises } from './conformance/groups.js';
import { lifecyclePromises } from './conformance/lifecycle.js';
import { poisonPromises } from './conformance/poison.js';
import { recordPromises } from './conformance/records.js';
import { stormPromises } from './conformance/storm.js';

export type { LogFactory, LogUnderTest } from './conformance/bench.js';

const PROMISES = [
  ...recordPromises,
  ...deliveryPromises,
  ...poisonPromises,
  ...flowPromises,
  ...groupPromises,
  ...lifecyclePromises,
  ...stormPromises,
];

/** What every adapter of the event log promises, one test each. Adapters call it from a test file of their own. */
export function describeConformance(name: string, factory: LogFactory): void {
  describe(`${name} keeps the promises of the event log`, () => {
    let bench: Bench;
    beforeEach(async () => {
      bench = await createBench(factory);
    });
    afterEach(async () => {
      await bench.destroy();
    });
    for (const promise of PROMISES) {
      test(promise.name, { timeout: 120_000 }, () => promise.keep(bench));
    }
  });
}
