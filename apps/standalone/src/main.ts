import { ConfigError, createLogger } from '@tidemark/service';
import { describeRun } from './banner.js';
import { readConfig, USAGE, type StandaloneConfig } from './config.js';
import { startStandalone } from './start.js';

const EXIT_USAGE = 1;
const EXIT_FAILED = 2;
/** A clean stop takes at most this long. */
const DRAIN_MS = 10_000;

const config = configOrExit();
const say = (line: string) => void process.stdout.write(`${line}\n`);
const logger = createLogger({
  name: 'tidemark',
  level: config.logLevel,
  pretty: config.log.format === 'pretty',
});
const standalone = startStandalone(config, { logger, say });

let asked = 0;
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

standalone.started.then(
  (run) => {
    for (const line of describeRun(config, run)) say(line);
    run.failed.catch((error: Error) => {
      process.stderr.write(`tidemark: ${error.message}\n`);
      void stop(EXIT_FAILED);
    });
  },
  (error: Error) => {
    // A stop that was asked for while starting is no failure.
    if (asked === 0) process.stderr.write(`tidemark: ${error.message}\n`);
    void stop(asked === 0 ? EXIT_FAILED : 0);
  },
);

async function stop(exitCode: number): Promise<void> {
  const { failed } = await standalone.stop(DRAIN_MS);
  if (asked > 0)
    say(
      failed.length === 0
        ? 'Stopped; everything acknowledged is kept.'
        : `Stopped without waiting for ${failed.join(', ')}.`,
    );
  process.exit(exitCode === 0 && failed.length > 0 ? EXIT_FAILED : exitCode);
}

function configOrExit(): StandaloneConfig {
  try {
    const read = readConfig(process.argv.slice(2));
    if (read !== 'help') return read;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) process.stderr.write(`tidemark: ${problem}\n`);
    process.exit(EXIT_USAGE);
  }
}
