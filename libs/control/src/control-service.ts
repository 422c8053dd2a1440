import 'reflect-metadata';
import {
  ContractError,
  controlKey,
  decodeControlRecord,
  type ControlListener,
  type ControlRecord,
} from '@tidemark/contracts';
import type { LogRecord } from '@tidemark/event-log';
import { Catch, type DynamicModule, Module, type RpcExceptionFilter } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions, ReadPacket } from '@nestjs/microservices';
import { throwError, type Observable } from 'rxjs';
import { ControlController, HEAR, type Hear } from './control-controller.js';
import { EventLogServer, type EventLogServerOptions } from './event-log-server.js';
import { nestLogger } from './nest-logger.js';

export interface ControlServiceOptions extends Omit<EventLogServerOptions, 'read'> {
  hear: Hear;
}

/** The microservice of Nest that hears the control topic. */
export async function startControlService({ hear, ...options }: ControlServiceOptions): Promise<ControlListener> {
  const server = new EventLogServer({ ...options, read: readControl });
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(ControlModule.of(hear), {
    ...{ strategy: server, logger: nestLogger(options.logger), abortOnError: false },
  });
  app.useGlobalFilters(new TellError());
  await app.listen();
  let draining: Promise<void> | undefined;
  return {
    caughtUp: server.caughtUp(),
    failed: server.failed,
    drain: (deadlineMs) => (draining ??= server.drain(deadlineMs).then(() => app.close())),
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
