import { pino, type LevelWithSilent } from 'pino';
import pretty from 'pino-pretty';

/** What our code needs of a logger: an object of fields first, one sentence second. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Logger;
}

export type LogLevel = LevelWithSilent;

export interface LoggerOptions {
  name: string;
  level: LogLevel;
  /** Lines for a person instead of JSON. */
  pretty: boolean;
  /** Where the lines go; standard error when left out, so that standard output stays the program's. */
  stream?: NodeJS.WritableStream;
}

export function createLogger(options: LoggerOptions): Logger {
  const target = options.stream ?? process.stderr;
  const stream = options.pretty
    ? pretty({ destination: target as never, ignore: 'pid,hostname,name', translateTime: 'HH:MM:ss', sync: true })
    : target;
  return pino({ name: options.name, level: options.level, base: { name: options.name } }, stream as never);
}

/** Says nothing; for tests and for tools that report in their own way. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
