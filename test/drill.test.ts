import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { TOPICS } from '@tidemark/contracts';
import { createMemoryEventLog, type EventLog } from '@tidemark/event-log';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { startRecord } from '@tidemark/pipeline';
import { Registry, silentLogger } from '@tidemark/service';
import { checkTables, distinctChunks, readLog } from '../tools/drill/check.mjs';
import { createLinks } from '../tools/drill/links.mjs';
import { KINDS, planFaults, TARGETS } from '../tools/drill/plan.mjs';
import { whyNoKafka } from '../tools/kafka/distribution.mjs';
import { playLoad } from '../tools/load/play.mjs';
import { RECORDED, untilRead } from './support/drill-stores.js';
import { until } from './support/until.js';

const ROOT = join(import.meta.dirname, '..');
const why = process.env['CI'] === 'true' ? undefined : whyNoKafka();

const PARTS = {
  ...{
    collector: ['collector-1', 'player-1'],
    broker: ['broker-1', 'broker-2', 'broker-3'],
    clickhouse: ['clickhouse'],
  },
  ...{ processor: ['processor-1', 'processor-2'], writer: ['writer-1', 'writer-2'], api: ['api-1', 'api-2'] },
};

describe('the plan of a drill', () => {
  const seeds = Array.from({ length: 50 }, (_, seed) => seed);

  it('is the same for the same seed, and another for another', () => {
    const plan = (seed: number) => JSON.stringify(planFaults({ seed, seconds: 90, parts: PARTS }));
    expect(seeds.map(plan)).toEqual(seeds.map(plan));
    expect(new Set(seeds.map(plan)).size).toBe(seeds.length);
  });

  it('hits every target in every way within ninety seconds, over a few seeds', () => {
    const met = new Set(
      seeds.flatMap((seed) =>
        planFaults({ seed, seconds: 90, parts: PARTS }).map(({ target, kind }) => `${target} ${kind}`),
      ),
    );
    expect([...met].sort()).toEqual(TARGETS.flatMap((target) => KINDS.map((kind) => `${target} ${kind}`)).sort());
  });

  it('never takes two brokers away at once, never hits a part that is down, and heals before the end', () => {
    for (const seed of seeds) {
      const plan = planFaults({ seed, seconds: 120, parts: PARTS });
      expect(plan.length).toBeGreaterThan(10);
      for (const [index, fault] of plan.entries()) {
        expect(fault.at + fault.seconds).toBeLessThanOrEqual(117);
        for (const other of plan.slice(index + 1)) {
          const same = fault.part === other.part || (fault.target === 'broker' && other.target === 'broker');
          if (same) expect(other.at).toBeGreaterThanOrEqual(fault.at + fault.seconds);
        }
      }
    }
  });
});

describe('a link that is cut', () => {
  let echo: Server;

  beforeAll(async () => {
    echo = createServer((socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });
  afterAll(() => void echo.close());

  async function connected() {
    const links = createLinks({ names: {} });
    const address = await links.open('echo', () => ({ host: '127.0.0.1', port: (echo.address() as AddressInfo).port }));
    const port = Number(address.split(':')[1]);
    const socket = createConnection(port, '127.0.0.1');
    const heard = { text: '', closed: false };
    socket.setEncoding('utf8').on('data', (text: string) => (heard.text += text));
    socket.on('error', () => {}).on('close', () => (heard.closed = true));
    await once(socket, 'connect');
    onTestFinished(async () => {
      socket.destroy();
      await links.close();
    });
    socket.write('one ');
    await until('the first word', () => heard.text === 'one ');
    return { links, socket, heard, port };
  }

  it('by a stall says nothing, and says all of it when it is back', async () => {
    const { links, socket, heard } = await connected();
    const heal = links.cut((_, to) => to === 'echo', 'stall');
    socket.write('two ');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(heard).toEqual({ text: 'one ', closed: false });
    heal();
    await until('the second word', () => heard.text === 'one two ');
  });

  it('by a drop says nothing, and is dead when it is back', async () => {
    const { links, socket, heard } = await connected();
    const heal = links.cut((_, to) => to === 'echo', 'drop');
    socket.write('two ');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(heard).toEqual({ text: 'one ', closed: false });
    heal();
    await until('its end', () => heard.closed);
    expect(heard.text).toBe('one ');
  });

  it('by a reset is dead at once, and so are new ones until it is back; other links do not notice', async () => {
    const { links, heard, port } = await connected();
    links.cut((_, to) => to === 'somebody else', 'reset');
    const heal = links.cut((_, to) => to === 'echo', 'reset');
    await until('its end', () => heard.closed);
    const next = createConnection(port, '127.0.0.1').on('error', () => {});
    await new Promise((resolve) => next.once('close', resolve));
    heal();
    const last = createConnection(port, '127.0.0.1');
    last.write('back');
    const [bytes] = (await once(last, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('back');
    last.destroy();
  });
});

describe('the count at the end', () => {
  let log: EventLog;
  let history: TestHistory;
  let record: ReturnType<typeof startRecord>;

  beforeAll(async () => {
    history = await openTestHistory();
    log = await createMemoryEventLog({});
    await log.ensureTopics(TOPICS);
    record = startRecord({ log, history: history.history, logger: silentLogger, registry: new Registry() });
    await record.ready;
    const shape = { nodes: 4, processes: 50, seconds: 130, traces: 2, findingsPerMinute: 6 };
    await playLoad({ ...shape, log, paced: false, at: Date.now() - 130_000 });
    await untilRead(log, RECORDED);
  }, 120_000);
  afterAll(async () => {
    await record?.drain(2_000);
    await log?.close(1_000);
    await history?.close();
  });

  async function count(): Promise<string[]> {
    const { username, password } = history.options;
    const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
    const ask = async (sql: string): Promise<string> => {
      const response = await fetch(history.server.url, { method: 'POST', headers, body: sql });
      const text = await response.text();
      if (!response.ok) throw new Error(text);
      return text.trim();
    };
    const { contents } = await readLog(log);
    const { chunks } = distinctChunks(contents);
    const ledger = { samples: new Map(), allocations: new Map(), findings: new Map() };
    return (await checkTables({ contents, chunks, ledger, ask })).problems;
  }

  it('finds nothing wrong where nothing is, and then what is doubled, missing and different, by its name', async () => {
    expect(await count()).toEqual([]);
    const { connection } = history;
    const now = 'SETTINGS mutations_sync = 1';
    const last = (table: string, column: string, node: string) =>
      `node = '${node}' AND ${column} = (SELECT max(${column}) FROM ${table} WHERE node = '${node}')`;
    await connection.command('INSERT INTO findings SELECT * FROM findings LIMIT 1');
    await connection.command(
      `INSERT INTO device_samples SELECT * FROM device_samples WHERE node = 'load-0003' ORDER BY at LIMIT 1`,
    );
    await connection.command(`ALTER TABLE node_samples DELETE WHERE ${last('node_samples', 'at', 'load-0001')} ${now}`);
    await connection.command(
      `ALTER TABLE process_samples_1m DELETE WHERE ${last('process_samples_1m', 'pid', 'load-0000')} ${now}`,
    );
    await connection.command(
      `ALTER TABLE process_samples UPDATE rss = rss + 4096 WHERE ${last('process_samples', 'at', 'load-0002')} ${now}`,
    );
    const problems = await count();
    expect(problems).toContainEqual(expect.stringMatching(/^findings: .*is 2, must be 1$/));
    expect(problems).toContainEqual(
      expect.stringMatching(/^device_samples: node load-0003 run run-1-3-0 seq 0 .*rows/),
    );
    expect(problems).toContainEqual(
      expect.stringMatching(/^node_samples: node load-0001 .*seq 129 .*0 rows instead of 1$/),
    );
    expect(problems).toContainEqual(
      expect.stringMatching(/^process_samples_1m: load-0000 .*only the raw rows have it$/),
    );
    expect(problems).toContainEqual(expect.stringMatching(/^process_samples: node load-0002 .*other figures$/));
    expect(problems).toContainEqual(expect.stringMatching(/^process_samples_1h: load-0002 .*rss_(last|max) is/));
  }, 60_000);
});

/** Processes that have the directory in their arguments. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
      } catch {
        return false;
      }
    });
}

describe.skipIf(why)(`a short drill on one broker${why ? ` (skipped: ${why})` : ''}`, () => {
  let directory: string;

  beforeAll(() => {
    // The drill runs what is built; this brings it up to date.
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: ROOT });
    directory = mkdtempSync(join(tmpdir(), 'tidemark-drill-'));
  }, 300_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const drill = (more: string[]) =>
    spawn(process.execPath, [join(ROOT, 'tools', 'drill.mjs'), '--brokers', '1', '--data', directory, ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  it('has every acknowledged record in history once, and leaves no process behind', async () => {
    const child = drill(['--seed', '4', '--minutes', '0.5', '--nodes', '6', '--processes', '40']);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
    const [code] = (await once(child, 'exit')) as [number];
    expect(output).toMatch(
      /^seed 4: PASSED in \d+ s; chunks [1-9].* samples [1-9].* findings [1-9].* allocationChunks [1-9]/m,
    );
    expect(code).toBe(0);
    expect(processesOf(directory)).toEqual([]);
  }, 600_000);

  it('takes everything with it when it is interrupted', async () => {
    const child = drill(['--seed', '5', '--minutes', '5']);
    child.stdout.resume();
    child.stderr.resume();
    await until('a broker', () => processesOf(directory).length >= 3);
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(130);
    expect(processesOf(directory)).toEqual([]);
  }, 120_000);
});
