import { Topic, TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { Registry, silentLogger } from '@tidemark/service';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, type MicroserviceOptions } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createControlMetrics } from './control-metrics.js';
import { EventLogClient } from './event-log-client.js';
import { EventLogContext } from './event-log-context.js';
import { EventLogServer } from './event-log-server.js';

const heard: unknown[] = [];

@Controller()
class First {
  @EventPattern('greeting')
  greeting(@Payload() data: unknown, @Ctx() context: unknown): void {
    heard.push(['first', data, (context as EventLogContext).getRecord().key]);
  }
}

@Controller()
class Second {
  @EventPattern('greeting')
  async greeting(data: unknown): Promise<void> {
    await Promise.resolve();
    heard.push(['second', data]);
  }
}

@Module({ controllers: [First, Second] })
class Greetings {}

let log: EventLog;
beforeEach(async () => {
  heard.length = 0;
  log = await createMemoryEventLog();
  await log.ensureTopics(TOPICS);
});
afterEach(() => log.close(1_000));

const client = (): EventLogClient =>
  new EventLogClient({
    log,
    write: ({ pattern, data }) => ({
      ...{ topic: Topic.Control, key: 'k', value: Buffer.from(JSON.stringify({ pattern, data })) },
    }),
  });

describe('the transport', () => {
  it('hands a record to every handler of its pattern, with the record, and none to a stranger’s', async () => {
    const server = new EventLogServer({
      ...{ log, topic: Topic.Control, group: 'greeters', logger: silentLogger },
      metrics: createControlMetrics(new Registry()),
      wants: () => true,
      read: ({ value }) => JSON.parse(Buffer.from(value!).toString()) as { pattern: string; data: unknown },
    });
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(Greetings, {
      strategy: server,
      logger: false,
    });
    await app.listen();
    const emitter = client();
    await lastValueFrom(emitter.emit('song', 1), { defaultValue: undefined });
    await lastValueFrom(emitter.emit('greeting', { to: 'you' }), { defaultValue: undefined });
    await vi.waitFor(() => expect(heard).toHaveLength(2), 10_000);
    expect(heard).toContainEqual(['first', { to: 'you' }, 'k']);
    expect(heard).toContainEqual(['second', { to: 'you' }]);
    await app.close();
    await emitter.emit('greeting', 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard).toHaveLength(2);
  });

  it('refuses to wait for a reply', async () => {
    await expect(lastValueFrom(client().send('greeting', 1))).rejects.toThrow(/gives no replies/);
  });
});
