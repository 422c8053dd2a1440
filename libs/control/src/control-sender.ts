import type { ControlSender } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';

/** Sends requests and answers over a client of `@nestjs/microservices`, which is loaded with the first. */
export function createControlSender(log: Pick<EventLog, 'append'>): ControlSender {
  let opening: Promise<ControlSender> | undefined;
  return {
    async send(record) {
      opening ??= import('./control-client.js').then(({ openControlClient }) => openControlClient(log));
      await (await opening).send(record);
    },
  };
}
