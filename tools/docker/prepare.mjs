// `npm run images`: an engine that answers, and every image that the tests of containers run.
import { parseArgs } from 'node:util';
import { makeBase } from './base.mjs';
import { findEngine, startEngine } from './engine.mjs';
import { buildApps, buildKafka } from './images.mjs';

const USAGE = `Usage: npm run images -- [options]

Starts a Docker engine when none answers, makes a base image of Debian packages, and builds the images of the apps, of
Apache Kafka and of the stand-in for ClickHouse. Needs root, dockerd, mmdebstrap and Maven.
"node tools/docker/engine.mjs stop" stops the engine.

  --only PART   base, kafka or apps (default all)
  --no-start    fail when no engine answers
`;

const started = Date.now();
const seconds = () => ((Date.now() - started) / 1000).toFixed(0).padStart(3);
const say = (line) => process.stdout.write(`images: ${seconds()} s  ${line}\n`);

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: 'all' },
      'no-start': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const { only } = values;
  if (!['all', 'base', 'kafka', 'apps'].includes(only)) throw new Error(`--only ${only}: must be base, kafka or apps`);
  const host = await engine(values['no-start']);
  await makeBase(host, say);
  if (only === 'all' || only === 'kafka') await buildKafka(host, say);
  if (only === 'all' || only === 'apps') await buildApps(host, say);
  say(`all there, at DOCKER_HOST=${host}`);
}

async function engine(noStart) {
  if (noStart) {
    const found = await findEngine();
    if (!found) throw new Error('no Docker engine answers');
    return found;
  }
  const { host, started: fresh } = await startEngine();
  say(fresh ? `started an engine at ${host}` : `an engine answers at ${host}`);
  return host;
}

main().catch((error) => {
  process.stderr.write(`images: ${error.message}\n`);
  process.exitCode = 1;
});
