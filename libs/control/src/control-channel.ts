import { Topic, type ControlChannel, type ControlListener, type NodeId } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import type { Logger, Registry } from '@tidemark/service';
import type { Hear } from './control-controller.js';
import { createControlMetrics, type ControlMetrics } from './control-metrics.js';
import { createControlSender } from './control-sender.js';
import { postDoorman, type Doorman } from './doorman.js';

export interface ControlChannelOptions {
  log: EventLog;
  /** Whose requests are heard. */
  node: NodeId;
  logger: Logger;
  registry: Registry;
  /** Tries of whoever hears at one record, at most. Default 3. */
  maxTries?: number;
  /** Pause after the first failed try, milliseconds; doubles with each. Default 100. */
  retryMs?: number;
  /** How long the topic may be silent before its end counts as reached, milliseconds. Default 2,000. */
  quietMs?: number;
}

/**
 * The control path of one node: a microservice of Nest over the event log, and a client for the answers. Few nodes are ever
 * asked for anything: Nest is loaded when there is the first record for this one.
 */
export function createControlChannel(options: ControlChannelOptions): ControlChannel {
  const { log, node, logger, registry, quietMs = 2_000 } = options;
  const metrics = createControlMetrics(registry);
  const wants = (key: string): boolean => key.startsWith(`${node}/`);
  return {
    ...createControlSender(log),
    async listen(hear) {
      const doorman = await postDoorman({ log, topic: Topic.Control, group: 'control', wants, quietMs, logger });
      return listenerOf({ ...options, quietMs, metrics, wants, hear }, doorman);
    },
  };
}

interface Listening extends ControlChannelOptions {
  quietMs: number;
  metrics: ControlMetrics;
  wants(key: string): boolean;
  hear: Hear;
}

function listenerOf(listening: Listening, doorman: Doorman): ControlListener {
  let isStopped = false;
  let service: Promise<ControlListener> | undefined;
  const called = doorman.knocked.then(() => {
    if (isStopped) return new Promise<never>(() => {});
    return (service = serve(listening, doorman));
  });
  const failed = Promise.race([doorman.failed, called.then((one) => one.failed)]);
  failed.catch(() => {});
  return {
    caughtUp: Promise.race([doorman.caughtUp, called.then((one) => one.caughtUp)]),
    failed,
    async drain(deadlineMs) {
      isStopped = true;
      await doorman.drain(deadlineMs);
      await (await service?.catch(() => undefined))?.drain(deadlineMs);
    },
  };
}

/** From the beginning again: the record that was seen is the first to be heard. */
async function serve(listening: Listening, doorman: Doorman): Promise<ControlListener> {
  const [{ startControlService }] = await Promise.all([import('./control-service.js'), doorman.drain(1_000)]);
  return startControlService({ ...listening, topic: Topic.Control, group: 'control', ends: doorman.ends });
}
