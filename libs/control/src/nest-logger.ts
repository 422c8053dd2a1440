import type { Logger } from '@tidemark/service';
import type { LoggerService } from '@nestjs/common';

/** What Nest has to say, in our log. */
export function nestLogger(logger: Logger): LoggerService {
  const say = (level: 'debug' | 'warn' | 'error') => (message: unknown) =>
    logger[level]({ from: 'nest' }, message instanceof Error ? message.message : String(message));
  return {
    log: say('debug'),
    debug: say('debug'),
    verbose: say('debug'),
    warn: say('warn'),
    error: say('error'),
    fatal: say('error'),
  };
}
