import 'reflect-metadata';
import {
  ContractError,
  controlKey,
  decodeControlRecord,
  Topic,
  type ControlChannel,
  type ControlListener,
  type ControlRecord,
  type NodeId,
} from '@tidemark/contracts';
import type { EventLog, LogRecord } from '@tidemark/event-log';
import type { Logger, Registry } from '@tidemark/service';
import { Catch, type DynamicModule, Module, type RpcExceptionFilter } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions, ReadPacket } from '@nestjs/microservices';
import { throwError, type Observable } from 'rxjs';
import { ControlController, HEAR, type Hear } from './control-controller.js';
import { createControlMetrics } from './control-metrics.js';
import { createControlSender } from './control-sender.js';
import { EventLogServer, type EventLogServerOptions } from './event-log-server.js';
import { nestLogger } from './nest-logger.js';

export interface ControlChannelOptions extends Partial<
  Pick<EventLogServerOptions, 'maxTries' | 'retryMs' | 'quietMs'>
> {
  log: EventLog;
  /** Whose requests are heard. */
  node: NodeId;
  logger: Logger;
  registry: Registry;
}

/** The control path of one node: a microservice of Nest over the event log, and a client for the answers. */
export function createControlChannel(options: ControlChannelOptions): ControlChannel {
  const { log, node, logger, registry, ...bounds } = options;
  const metrics = createControlMetrics(registry);
  return {
    ...createControlSender(log),
    async listen(hear) {
      const server = new EventLogServer({
        ...{ log, topic: Topic.Control, group: 'control', logger, metrics, ...bounds },
        wants: (key) => key.startsWith(`${node}/`),
        read: readControl,
      });
      const app = await NestFactory.createMicroservice<MicroserviceOptions>(ControlModule.of(hear), {
        ...{ strategy: server, logger: nestLogger(logger), abortOnError: false },
      });
      app.useGlobalFilters(new TellError());
      await app.listen();
      return listenerOf(server, () => app.close());
    },
  };
}

function listenerOf(server: EventLogServer, close: () => Promise<void>): ControlListener {
  let draining: Promise<void> | undefined;
  return {
    caughtUp: server.caughtUp(),
    failed: server.failed,
    drain: (deadlineMs) => (draining ??= server.drain(deadlineMs).then(close)),
  };
}

/** Throws ContractError. */
function readControl({ key, value, headers }: LogRecord): ReadPacket<ControlRecord> {
  const data = decodeControlRecord(value!, headers);
  if (controlKey(data.node, data.pid) === key) return { pattern: data.type, data };
  throw new ContractError('CONTRACT_SHAPE', `control record of ${controlKey(data.node, data.pid)} has the key ${key}`);
}

/** The failure itself, where Nest would only tell that there was one. */
@Catch()
class TellError implements RpcExceptionFilter {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}

@Module({})
class ControlModule {
  static of(hear: Hear): DynamicModule {
    return {
      module: ControlModule,
      controllers: [ControlController],
      providers: [{ provide: HEAR, useValue: hear }],
    };
  }
}
