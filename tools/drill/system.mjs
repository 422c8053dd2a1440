// The whole system of a drill: brokers, ClickHouse, every app twice, a collector and players, with proxies between.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../free-ports.mjs';
import { startKafka } from '../kafka/cluster.mjs';
import { createLinks } from './links.mjs';
import { createPart, descendants } from './part.mjs';

const root = join(fileURLToPath(new URL('.', import.meta.url)), '..', '..');
const PASSWORD = 'drill';
const READY_MS = 240_000;
/** Players end when they are told to. */
const FOR_EVER_S = 1_000_000;
const source = new URL('./source-address.mjs', import.meta.url).href;

/**
 * Starts everything and waits until the apps are ready. What was started is stopped by `stop`, also when this throws.
 *
 * @param {{ directory: string, seed: number, seconds: number, brokers: 1 | 3, nodes: number, processes: number,
 *   collect?: Record<string, string | number>, players?: number, copies?: number, say: (line: string) => void }} options
 */
export function createSystem(options) {
  const { directory, brokers: count, players: playerCount = 2, copies = 2, say } = options;
  mkdirSync(join(directory, 'logs'), { recursive: true });
  const parts = {};
  const names = {};
  const ports = {};
  const links = createLinks({ names });
  let kafka;
  let starting;
  let over = false;
  let addresses = [];
  let clickhousePort;

  function add(name, command, given = {}) {
    const source = `127.0.7.${Object.keys(names).length + 1}`;
    names[source] = name;
    const environment = { DRILL_ADDRESS: source, ...given.environment };
    parts[name] = createPart({ name, command, logFile: join(directory, 'logs', `${name}.log`), ...given, environment });
    return parts[name];
  }

  async function startStores() {
    addresses = [];
    for (let broker = 1; broker <= count; broker++) {
      const target = () => {
        const [host, port] = (kafka?.bootstrap[broker - 1] ?? '127.0.0.1:1').split(':');
        return { host, port: Number(port) };
      };
      addresses.push(await links.open(`broker-${broker}`, target));
    }
    [clickhousePort] = await freePorts(1);
    const clickhouse = add('clickhouse', () => [
      join(root, 'tools', 'clickhouse.mjs'),
      ...['--data', join(directory, 'clickhouse'), '--port', String(clickhousePort)],
      ...['--admin-password', PASSWORD, '--reader-password', `${PASSWORD}-reader`, '--memory-mb', '2048'],
    ]);
    clickhouse.start();
    starting = startKafka({
      ...{ directory: join(directory, 'kafka'), brokers: count, advertise: addresses, say: () => {} },
      // A broker that comes back shall not wait for others for long.
      properties: { 'controlled.shutdown.enable': 'false', 'replica.lag.time.max.ms': '10000' },
    });
    kafka = await starting;
    if (over) throw new Error('stopped');
    for (const broker of kafka.brokers) parts[`broker-${broker.id}`] = brokerPart(broker);
    await until(async () => (await ask('SELECT 1')) === '1', 'ClickHouse');
  }

  async function startApps() {
    const history = await links.open('clickhouse', () => ({ host: '127.0.0.1', port: clickhousePort }));
    const shared = {
      TIDEMARK_KAFKA_BROKERS: addresses.join(','),
      TIDEMARK_HISTORY_URL: `http://${history}`,
      TIDEMARK_HISTORY_PASSWORD: PASSWORD,
      TIDEMARK_DETECT_PROFILE: 'demo',
      TIDEMARK_LOG_FORMAT: 'json',
    };
    const portSetting = { processor: 'STATUS', writer: 'STATUS', collector: 'STATUS', api: 'API' };
    for (const app of ['writer', 'processor', 'api']) {
      for (let copy = 1; copy <= copies; copy++) await addApp(app, `${app}-${copy}`, shared);
    }
    const collect = Object.entries(options.collect ?? {}).flatMap(([key, value]) => [
      '--set',
      `collect.${key}=${value}`,
    ]);
    const own = ['--node', 'drill-host', '--data', join(directory, 'collector'), ...collect];
    await addApp('collector', 'collector-1', shared, own);

    async function addApp(app, name, environment, more = []) {
      [ports[name]] = await freePorts(1);
      if (over) throw new Error('stopped');
      const main = join(root, 'apps', app, 'dist', 'main.js');
      if (!existsSync(main)) throw new Error(`apps/${app} is not built: run npm run setup`);
      const port = { [`TIDEMARK_${portSetting[app]}_PORT`]: String(ports[name]) };
      add(name, () => ['--import', source, main, ...more], { environment: { ...environment, ...port } }).start();
    }
  }

  function addPlayers() {
    const { nodes, processes, seed } = options;
    for (let index = 0; index < playerCount; index++) {
      const first = Math.floor((index * nodes) / playerCount);
      const count = Math.floor(((index + 1) * nodes) / playerCount) - first;
      const load = {
        ...{
          brokers: addresses,
          processes,
          seed,
          first,
          seconds: FOR_EVER_S,
          name: 'drill',
          findingsPerMinute: 6,
          leaks: 2,
        },
        ...{ nodes: count, traces: count / 2, changing: 0.25 },
      };
      const name = `player-${index + 1}`;
      const ledger = join(directory, `${name}.ledger`);
      const player = new URL('./player.mjs', import.meta.url).pathname;
      const command = (incarnation) => ['--import', source, player, JSON.stringify({ ...load, ledger, incarnation })];
      const part = add(name, command, {
        onLine: (line) => {
          if (line.startsWith('done ')) part.expectEnd();
        },
      });
    }
  }

  const appNames = () => Object.keys(ports);
  const url = (name) => `http://127.0.0.1:${ports[name]}`;

  /** A statement as the administrator, past the proxies; gives the text of the answer. */
  async function ask(sql) {
    const headers = { 'X-ClickHouse-User': 'default', 'X-ClickHouse-Key': PASSWORD };
    const signal = AbortSignal.timeout(60_000);
    const response = await fetch(`http://127.0.0.1:${clickhousePort}/`, { method: 'POST', headers, body: sql, signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`ClickHouse: ${text.split('\n')[0].slice(0, 400)}`);
    return text.trim();
  }

  return {
    parts,
    links,
    ask,
    url,
    appNames,
    players: () => Object.keys(parts).filter((name) => name.startsWith('player-')),
    brokers: () => addresses,
    /** Names of the parts by what a fault may hit. */
    targets() {
      const of = (prefix) => Object.keys(parts).filter((name) => name.startsWith(prefix));
      return {
        ...{ collector: [...of('collector-'), ...of('player-')], broker: of('broker-'), processor: of('processor-') },
        ...{ writer: of('writer-'), clickhouse: ['clickhouse'], api: of('api-') },
      };
    },
    async start() {
      await startStores();
      await startApps();
      addPlayers();
      say('stores are up, waiting for the apps');
      for (const name of appNames()) await until(() => isReady(url(name)), name, parts[name]);
    },
    async stop() {
      const all = Object.values(parts);
      await Promise.all(all.map((part) => part.kill()));
      over = true;
      // Brokers that are only being started belong to nobody yet.
      await killUntilSettled(starting);
      const cluster = await starting?.catch(() => undefined);
      await Promise.all((cluster?.brokers ?? []).map((broker) => broker.kill()));
      await links.close();
    },
  };
}

/** Kills what a promise still waits for, until it is settled. */
async function killUntilSettled(promise) {
  let settled = promise === undefined;
  const done = promise?.catch(() => {}).then(() => (settled = true));
  while (!settled) {
    for (const pid of descendants(process.pid)) kill(pid);
    await Promise.race([done, pause(100)]);
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** A broker with the manners of every other part. */
function brokerPart(broker) {
  return {
    name: `broker-${broker.id}`,
    surprises: [],
    get pid() {
      return broker.pid;
    },
    start: () => broker.start(),
    kill: () => broker.kill(),
    pause: () => broker.pause(),
    resume: () => broker.resume(),
  };
}

async function isReady(url) {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.ok;
}

/** Asks until the answer is true; throws Error naming what it waited for. */
export async function until(asked, what, part, ms = READY_MS) {
  const end = Date.now() + ms;
  let last = '';
  for (;;) {
    try {
      if (await asked()) return;
    } catch (error) {
      last = `: ${error.message}`;
    }
    if (part?.surprises?.length > 0) throw new Error(`${part.surprises[0]}; see ${part.logFile}`);
    if (Date.now() > end) throw new Error(`waited ${Math.round(ms / 1000)} s for ${what}${last}`);
    await pause(250);
  }
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
