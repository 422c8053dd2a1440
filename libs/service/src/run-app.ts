import { setFlagsFromString } from 'node:v8';
import { ConfigError } from './config.js';
import { healthReport, type Health } from './health.js';
import { createLifecycle, type Lifecycle } from './lifecycle.js';
import { createLogger, type Logger, type LogLevel } from './logger.js';

const EXIT_USAGE = 1;
const EXIT_FAILED = 2;
/** A clean stop takes at most this long. */
const DRAIN_MS = 10_000;
const WATCH_MS = 1_000;

/** What a starting app hangs its parts into. */
export interface AppContext {
  logger: Logger;
  /** Tells a person what is being done, line by line, on standard output. */
  say(line: string): void;
  /** What is added is stopped, last first, however the app ends. */
  lifecycle: Lifecycle;
  /** A part that is not live any more ends the app, so that whoever supervises it starts it anew. */
  health: Record<string, () => Health>;
  /** Aborts when the app is to stop. */
  stopping: AbortSignal;
}

export interface AppOptions {
  /** Stands before what goes wrong: `tidemark collector`. */
  name: string;
  log: { level: LogLevel; format: 'pretty' | 'json' };
  /**
   * Starts every part. An error while it runs ends the app in one line; so does the rejection of `failed`, later.
   */
  start(app: AppContext): Promise<{ failed?: Promise<never> } | void>;
}

/** The settings of a command line; prints the help, or what is wrong, and ends the process otherwise. */
export function configOrExit<Config>(name: string, usage: string, read: () => Config | 'help'): Config {
  try {
    const config = read();
    if (config !== 'help') return config;
    process.stdout.write(usage);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${name}: ${problem}\n`);
    process.exit(EXIT_USAGE);
  }
}

/**
 * Runs an app until a signal, a defect or the failure of a part ends it: 0 after a clean stop that was asked for, 2
 * otherwise. A second signal does not wait.
 */
export function runApp({ name, log, start }: AppOptions): void {
  // V8 puts objects into the old space at once when those of the same line of source lived long before. A chunk that is
  // dead there keeps its columns, and they are moved there too: 6 MB a second of a thousand hosts, for nothing.
  setFlagsFromString('--no-allocation-site-pretenuring');
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const logger = createLogger({ name, level: log.level, pretty: log.format === 'pretty' });
  const lifecycle = createLifecycle(logger);
  const health: AppContext['health'] = {};
  const stopping = new AbortController();
  let asked = 0;

  async function stop(exitCode: number): Promise<void> {
    stopping.abort();
    const { failed } = await lifecycle.stop(DRAIN_MS);
    if (asked > 0)
      say(
        failed.length === 0
          ? 'Stopped; everything acknowledged is kept.'
          : `Stopped without waiting for ${failed.join(', ')}.`,
      );
    process.exit(exitCode === 0 && failed.length > 0 ? EXIT_FAILED : exitCode);
  }

  function fail(error: Error): void {
    // A stop that was asked for while starting is no failure.
    if (asked > 0 || stopping.signal.aborted) return;
    process.stderr.write(`${name}: ${error.message}\n`);
    void stop(EXIT_FAILED);
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (++asked > 1) process.exit(EXIT_FAILED);
      say(`Stopping on ${signal} (again to stop at once)…`);
      void stop(0);
    });
  }
  process.on('uncaughtException', (error) => {
    logger.error({ error: error.stack }, 'a defect of Tidemark: stopping');
    void stop(EXIT_FAILED);
  });
  start({ logger, say, lifecycle, health, stopping: stopping.signal }).then((run) => run?.failed?.catch(fail), fail);
  watchLiveness(health, stopping.signal, fail);
}

function watchLiveness(health: AppContext['health'], stopping: AbortSignal, fail: (error: Error) => void): void {
  const timer = setInterval(() => {
    const dead = Object.entries(healthReport(health).parts).find(([, part]) => !part.live);
    if (dead) fail(new Error(`${dead[0]} cannot go on: ${dead[1].detail}`));
  }, WATCH_MS);
  stopping.addEventListener('abort', () => clearInterval(timer), { once: true });
}
