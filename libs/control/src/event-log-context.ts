import type { LogRecord } from '@tidemark/event-log';
import { BaseRpcContext } from '@nestjs/microservices';

/** What a handler may ask for besides the message: the record that brought it (`@Ctx()`). */
export class EventLogContext extends BaseRpcContext<[LogRecord]> {
  getRecord(): LogRecord {
    return this.args[0];
  }
}
