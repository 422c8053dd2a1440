import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compose, whyNoCompose } from '../tools/docker/compose.mjs';
import { docker } from '../tools/docker/docker.mjs';
import { imageEnvironment } from '../tools/docker/images.mjs';
import { findContainers } from './containers/engine.js';
import { freePorts } from './containers/free-ports.js';
import { until } from './support/until.js';

const containers = await findContainers(['kafka', 'clickhouse']);
const why = containers.why ?? (process.env['CI'] === 'true' ? undefined : whyNoCompose());
const START_MS = 400_000;
const TOKEN = 'token-of-a-test';
const PASSWORD = 'password-of-a-test';
/** All but Grafana, whose image cannot be built from packages of Debian. */
const APPS = ['collector', 'processor', 'writer', 'api', 'web'];
const SERVICES = ['kafka', 'clickhouse', ...APPS];

interface State {
  service: string;
  running: boolean;
  exitCode: number;
  health: string | undefined;
  restarts: number;
}

describe.skipIf(why !== undefined)(`the services of docker-compose.yml${why ? `: ${why}` : ''}`, () => {
  const project = `tidemark-test-${process.pid}`;
  let env: Record<string, string | undefined>;
  let url = { api: '', web: '', history: '' };

  beforeAll(async () => {
    const [kafka, clickhouse, api, web, status] = (await freePorts(5)) as [number, number, number, number, number];
    url = { api: `http://127.0.0.1:${api}`, web: `http://127.0.0.1:${web}`, history: `http://127.0.0.1:${clickhouse}` };
    env = {
      ...{ PATH: process.env['PATH'], HOME: process.env['HOME'], DOCKER_HOST: containers.host },
      ...imageEnvironment(),
      ...{ TIDEMARK_KAFKA_PORT: String(kafka), TIDEMARK_CLICKHOUSE_PORT: String(clickhouse) },
      ...{ TIDEMARK_API_PORT: String(api), TIDEMARK_WEB_PORT: String(web) },
      ...{ TIDEMARK_COLLECTOR_STATUS_PORT: String(status), TIDEMARK_COLLECTOR_BROKERS: `127.0.0.1:${kafka}` },
      // The stand-in for ClickHouse has two users and is told of no others.
      ...{ TIDEMARK_CLICKHOUSE_USERS: 'keep', TIDEMARK_CLICKHOUSE_ADMIN: 'tidemark_admin' },
      ...{ TIDEMARK_CLICKHOUSE_WRITER: 'tidemark_admin', TIDEMARK_CLICKHOUSE_PROCESSOR: 'tidemark_admin' },
      ...Object.fromEntries(
        ['ADMIN', 'WRITER', 'PROCESSOR', 'READER', 'GRAFANA'].map((role) => [
          `TIDEMARK_CLICKHOUSE_${role}_PASSWORD`,
          PASSWORD,
        ]),
      ),
      ...{ TIDEMARK_API_TOKEN: TOKEN, TIDEMARK_GRAFANA_ADMIN_PASSWORD: PASSWORD, TIDEMARK_CPUS: '2' },
      // Only a privileged engine may raise the limit above its own.
      TIDEMARK_CLICKHOUSE_FILES: execFileSync('bash', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim(),
      COMPOSE_HTTP_TIMEOUT: '300',
    };
    run('up', '--detach', '--no-build', '--scale', 'processor=2', ...SERVICES);
  }, START_MS);
  afterAll(() => {
    if (env) compose(['-p', project, 'down', '--volumes', '--timeout', '15'], env);
  }, 120_000);

  function run(...args: string[]): string {
    const { status, stdout, stderr } = compose(['-p', project, ...args], env);
    if (status !== 0) throw new Error(`docker-compose ${args[0]} ended with ${status}: ${stderr.slice(-3_000)}`);
    return stdout;
  }

  async function states(): Promise<State[]> {
    const label = `label=com.docker.compose.project=${project}`;
    const ids = (await docker(containers.host, ['ps', '--all', '--quiet', '--filter', label])).split('\n');
    const all = JSON.parse(await docker(containers.host, ['inspect', ...ids])) as {
      Config: { Labels: Record<string, string> };
      State: { Running: boolean; ExitCode: number; Health?: { Status: string } };
      RestartCount: number;
    }[];
    return all.map(({ Config, State, RestartCount }) => ({
      service: Config.Labels['com.docker.compose.service']!,
      running: State.Running,
      exitCode: State.ExitCode,
      health: State.Health?.Status,
      restarts: RestartCount,
    }));
  }

  async function ask<T>(query: string): Promise<T> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` };
    const response = await fetch(`${url.api}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
    const { data, errors } = (await response.json()) as { data?: T; errors?: unknown };
    if (!data) throw new Error(JSON.stringify(errors));
    return data;
  }

  async function stored(sql: string): Promise<number> {
    const headers = { 'x-clickhouse-user': 'tidemark_reader', 'x-clickhouse-key': PASSWORD };
    const response = await fetch(`${url.history}/?database=tidemark`, { method: 'POST', headers, body: sql });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return Number(text);
  }

  it('all become healthy, two processors among them, and none had to be started again', async () => {
    const healthy = await until(
      'every service to be healthy',
      async () => {
        const lasting = (await states()).filter(({ service }) => service !== 'clickhouse-setup');
        return lasting.every(({ health }) => health === 'healthy') && lasting;
      },
      240_000,
    );
    expect(healthy.map(({ service }) => service).sort()).toEqual([...SERVICES, 'processor'].sort());
    expect(healthy.filter(({ restarts }) => restarts > 0)).toEqual([]);
    const setup = (await states()).find(({ service }) => service === 'clickhouse-setup');
    expect(setup).toMatchObject({ running: false, exitCode: 0 });
  }, 260_000);

  it('see the processes of this host, told by the API', async () => {
    interface Answer {
      nodes: { nodes: { id: string; state: string }[] };
      process: { pid: number; memory: { rss: number | null; pss: number | null } | null } | null;
    }
    const node = hostname().replace(/[^A-Za-z0-9._-]/g, '-');
    const question = `{ nodes { nodes { id state } } process(node: "${node}", pid: ${process.pid}) { pid memory { rss pss } } }`;
    // This process is not of the container, and runs as the user of the test.
    const answer = await until(
      'this process with its own share of memory',
      async () => {
        const told = await ask<Answer>(question);
        return told.process?.memory?.pss !== null && told.process?.memory !== undefined && told;
      },
      120_000,
    );
    expect(answer.nodes.nodes).toEqual([{ id: node, state: 'ACTIVE' }]);
    expect(answer.process!.pid).toBe(process.pid);
    expect(answer.process!.memory!.rss).toBeGreaterThan(10_000_000);
  }, 140_000);

  it('want the token, hand out the page, and keep what they saw', async () => {
    const stranger = await fetch(`${url.api}/graphql`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ query: '{ nodes { nodes { id } } }' }),
    });
    expect(stranger.status).toBe(401);
    const page = await fetch(url.web);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const rows = await until('rows in ClickHouse', () => stored('SELECT count() FROM process_samples'), 120_000);
    await until('more of them', async () => (await stored('SELECT count() FROM process_samples')) > rows, 120_000);
    expect(await stored('SELECT uniqExact(node) FROM process_samples')).toBe(1);
    expect(await stored(`SELECT countIf(pid = ${process.pid}) > 0 FROM processes`)).toBe(1);
  }, 250_000);

  it('drain when they are stopped: exit 0', async () => {
    run('stop', '--timeout', '30', ...APPS);
    run('stop', '--timeout', '30', 'clickhouse');
    const ours = (await states()).filter(({ service }) => service !== 'kafka');
    expect(ours.filter(({ running, exitCode }) => running || exitCode !== 0)).toEqual([]);
  }, 180_000);
});
