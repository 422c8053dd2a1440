import type { ControlRecord, TraceRequestRecord, TraceStatusRecord } from '@tidemark/contracts';
import { Controller, Inject } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';

export type Hear = (record: ControlRecord) => void | Promise<void>;

/** Injection token of Hear. */
export const HEAR = Symbol('Hear');

/** The requests to a node and their answers, which it needs too: what is answered is not begun again. */
@Controller()
export class ControlController {
  constructor(@Inject(HEAR) private readonly hear: Hear) {}

  @EventPattern('trace-request')
  requested(record: TraceRequestRecord): void | Promise<void> {
    return this.hear(record);
  }

  @EventPattern('trace-status')
  answered(record: TraceStatusRecord): void | Promise<void> {
    return this.hear(record);
  }
}
