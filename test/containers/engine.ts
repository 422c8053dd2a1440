import { docker } from '../../tools/docker/docker.mjs';
import { findEngine, whyNoEngine } from '../../tools/docker/engine.mjs';
import { CLICKHOUSE_IMAGE, KAFKA_IMAGE } from '../../tools/docker/images.mjs';

const PULL_MS = 120_000;
const REAPER_IMAGE = 'testcontainers/ryuk';

/** What tests of containers run on, or why they cannot. */
export interface Containers {
  /** Undefined when they can run; under CI there is no excuse, and the first use tells what is missing. */
  why: string | undefined;
  /** The same for the end of a name; empty when they can run. */
  inName: string;
  /** Address of the engine; empty when there is none. */
  host: string;
  /** Image of the variable, else the one built here, else the official one. */
  kafka: string;
  clickhouse: string;
}

/** Finds an engine and the images named, and lets testcontainers know. */
export async function findContainers(wanted: readonly ('kafka' | 'clickhouse')[]): Promise<Containers> {
  const { TIDEMARK_KAFKA_IMAGE, TIDEMARK_CLICKHOUSE_IMAGE, CI } = process.env;
  const host = await findEngine();
  const found: Containers = { why: undefined, inName: '', host: host ?? '', kafka: '', clickhouse: '' };
  if (host === undefined) found.why = whyNoEngine() ?? 'no Docker engine answers: npm run images starts one';
  else {
    process.env['DOCKER_HOST'] = host;
    // Ports are published on this address; `localhost` may be the one of IPv6.
    if (host.startsWith('unix:')) process.env['TESTCONTAINERS_HOST_OVERRIDE'] ??= '127.0.0.1';
    const choices = { kafka: TIDEMARK_KAFKA_IMAGE, clickhouse: TIDEMARK_CLICKHOUSE_IMAGE };
    for (const name of wanted) {
      found[name] = choices[name] || (await localOrOfficial(host, name));
      found.why ??= await whyNoImage(host, found[name]);
    }
    // What the reaper would do when a test is killed, `engine.mjs stop` does.
    if (!(await isThere(host, REAPER_IMAGE))) process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true';
  }
  if (found.why !== undefined) process.stdout.write(`containers: ${found.why}\n`);
  if (CI === 'true') found.why = undefined;
  if (found.why !== undefined) found.inName = `: ${found.why}`;
  return found;
}

const images = {
  kafka: { local: KAFKA_IMAGE, official: 'apache/kafka:4.1.0' },
  clickhouse: { local: CLICKHOUSE_IMAGE, official: 'clickhouse/clickhouse-server:26.7' },
};

async function localOrOfficial(host: string, name: 'kafka' | 'clickhouse'): Promise<string> {
  const { local, official } = images[name];
  return (await isThere(host, local)) ? local : official;
}

async function whyNoImage(host: string, image: string): Promise<string | undefined> {
  if (await isThere(host, image)) return undefined;
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`took more than ${PULL_MS / 1_000} s`)), PULL_MS).unref();
  });
  try {
    await Promise.race([docker(host, ['pull', '--quiet', image]), late]);
    return undefined;
  } catch (error) {
    const reason = (error as Error).message.trim().split('\n').at(-1);
    return `the image ${image} cannot be had (${reason}): npm run images builds one`;
  }
}

async function isThere(host: string, image: string): Promise<boolean> {
  return (await docker(host, ['images', '--quiet', image])) !== '';
}
