import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { afterEach, describe } from 'vitest';
import { controlScenarios } from './support/control-scenarios.js';

describe('the control path over the embedded log', () => {
  let log: EventLog | undefined;
  afterEach(async () => {
    await log?.close(2_000);
    log = undefined;
  });
  // In one process all share it.
  controlScenarios(async () => (log ??= await createMemoryEventLog()));
});
