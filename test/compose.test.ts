import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compose, composeConfig, whyNoCompose } from '../tools/docker/compose.mjs';
import { APPS } from '../tools/docker/images.mjs';

const why = process.env['CI'] === 'true' ? undefined : whyNoCompose();
const root = join(import.meta.dirname, '..');
const names = [...readFileSync(join(root, 'docker', 'example.env'), 'utf8').matchAll(/^(\w+)=$/gm)].map(
  ([, name]) => name!,
);
const secrets = Object.fromEntries(names.map((name) => [name, `value-of-${name.toLowerCase()}`]));
/** What a shell gives beside the file of secrets; a variable of this machine must not decide a test. */
const shell = { PATH: process.env['PATH'], HOME: process.env['HOME'], DOCKER_HOST: process.env['DOCKER_HOST'] };

describe.skipIf(why !== undefined)(`docker-compose.yml${why ? `: ${why}` : ''}`, () => {
  const { services } = why === undefined ? composeConfig({ ...shell, ...secrets }) : { services: {} };
  /** Runs once and ends. */
  const once = ['clickhouse-setup'];
  const lasting = Object.entries(services).filter(([name]) => !once.includes(name));

  it('has every service of the system', () => {
    const expected = ['kafka', 'clickhouse', 'clickhouse-setup', 'grafana', ...APPS.map(({ app }) => app)];
    expect(Object.keys(services).sort()).toEqual(expected.sort());
  });

  it.each(names)('is refused without %s, which is named', (name) => {
    const { status, stderr, stdout } = compose(['config'], { ...shell, ...secrets, [name]: undefined });
    expect(status).not.toBe(0);
    expect(`${stderr}${stdout}`).toContain('set it in the env file, as docker/example.env shows');
    expect(`${stderr}${stdout}`).toContain(name);
  });

  it.each(lasting)('%s has a health check, limits and a restart policy', (_, service) => {
    expect(service.healthcheck?.test?.length).toBeGreaterThan(0);
    expect(service.mem_limit).toBeTruthy();
    expect(Number(service.cpus)).toBeGreaterThan(0);
    expect(service.pids_limit).toBeGreaterThan(0);
    expect(service.restart).toBe('unless-stopped');
  });

  it.each(Object.entries(services))('%s publishes ports on loopback alone', (_, { ports = [] }) => {
    for (const port of ports) {
      if (typeof port === 'string') expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+(\/tcp)?$/);
      else expect(port.host_ip).toBe('127.0.0.1');
    }
  });

  it.each(Object.entries(services))('%s has no right that it was not given by name', (name, service) => {
    expect(service.privileged ?? false).toBe(false);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    const isCollector = name === 'collector';
    expect(service.cap_add ?? []).toEqual(isCollector ? ['SYS_PTRACE', 'DAC_READ_SEARCH'] : []);
    expect(service.pid).toBe(isCollector ? 'host' : undefined);
    expect(service.network_mode).toBe(isCollector ? 'host' : undefined);
    if (APPS.some(({ app }) => app === name)) expect(service.read_only).toBe(true);
  });

  it('gives no service a secret that is not its own', () => {
    const holders = (secret: string) =>
      Object.entries(services)
        .filter(([, { environment = {} }]) => Object.values(environment).includes(secrets[secret]!))
        .map(([name]) => name)
        .sort();
    expect(holders('TIDEMARK_API_TOKEN')).toEqual(['api']);
    expect(holders('TIDEMARK_CLICKHOUSE_ADMIN_PASSWORD')).toEqual(['clickhouse', 'clickhouse-setup']);
    expect(holders('TIDEMARK_CLICKHOUSE_WRITER_PASSWORD')).toEqual(['clickhouse-setup', 'writer']);
    expect(holders('TIDEMARK_CLICKHOUSE_PROCESSOR_PASSWORD')).toEqual(['clickhouse-setup', 'processor']);
    expect(holders('TIDEMARK_CLICKHOUSE_READER_PASSWORD')).toEqual(['api', 'clickhouse', 'clickhouse-setup']);
    expect(holders('TIDEMARK_CLICKHOUSE_GRAFANA_PASSWORD')).toEqual(['clickhouse-setup', 'grafana']);
    expect(holders('TIDEMARK_GRAFANA_ADMIN_PASSWORD')).toEqual(['grafana']);
  });

  it('takes the images that the environment names', () => {
    const variables = Object.keys(services)
      .filter((name) => !once.includes(name))
      .map((name) => [name, `TIDEMARK_${name.toUpperCase()}_IMAGE`] as const);
    const images = Object.fromEntries(variables.map(([name, variable]) => [variable, `local/${name}:test`]));
    const chosen = composeConfig({ ...shell, ...secrets, ...images }).services;
    for (const [name] of variables) expect(chosen[name]?.image).toBe(`local/${name}:test`);
  });
});
