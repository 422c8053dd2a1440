// The images of this project, built from docker/ on the base image, and stand-ins for those that cannot be pulled.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kafkaJars } from '../kafka/distribution.mjs';
import { BASE_IMAGE } from './base.mjs';
import { docker, dockerCommand } from './docker.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';

/** Our apps: name of the image, stage of docker/Dockerfile, and the port that answers about health. */
export const APPS = [
  { app: 'collector', target: 'collector', port: 9464 },
  { app: 'processor', target: 'app', port: 9465 },
  { app: 'writer', target: 'app', port: 9466 },
  { app: 'api', target: 'app', port: 4000 },
  { app: 'web', target: 'app', port: 4080 },
];
export const imageOf = (app) => `tidemark/${app}:local`;
export const KAFKA_IMAGE = 'tidemark/kafka:local';
export const CLICKHOUSE_IMAGE = 'tidemark/clickhouse:local';

/** Environment that names the images built here to docker-compose.yml and to the tests. */
export function imageEnvironment() {
  return {
    ...Object.fromEntries(APPS.map(({ app }) => [`TIDEMARK_${app.toUpperCase()}_IMAGE`, imageOf(app)])),
    TIDEMARK_KAFKA_IMAGE: KAFKA_IMAGE,
    TIDEMARK_CLICKHOUSE_IMAGE: CLICKHOUSE_IMAGE,
  };
}

/** Apps that have something to run; one that is not written yet has no image. */
export const builtApps = () => APPS.filter(({ app }) => existsSync(join(root, 'apps', app, 'src', 'main.ts')));

/** Builds every app and the stand-in of ClickHouse; stages that they share are built once. */
export async function buildApps(host, say) {
  const work = mkdtempSync(join(tmpdir(), 'tidemark-images-'));
  const command = dockerCommand();
  const build = async (tag, args) => {
    const started = Date.now();
    const standard = ['-f', 'docker/Dockerfile', '--network', 'host', '--build-arg', `BASE=${BASE_IMAGE}`];
    await docker(host, ['build', ...standard, ...secrets(work), ...args, '-t', tag, '.'], { command, cwd: root });
    say(`built ${tag} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
  };
  try {
    await build(CLICKHOUSE_IMAGE, ['--target', 'clickhouse-stand-in']);
    for (const { app, target, port } of builtApps()) {
      const args = ['--target', target, '--build-arg', `APP=${app}`, '--build-arg', `HEALTH_PORT=${port}`];
      await build(imageOf(app), args);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Apache Kafka's own jars under Debian's Java, told its settings as the official image is. */
export async function buildKafka(host, say) {
  const started = Date.now();
  const work = mkdtempSync(join(tmpdir(), 'tidemark-kafka-image-'));
  try {
    cpSync(kafkaJars(say), join(work, 'jars'), { recursive: true });
    cpSync(join(root, 'docker', 'kafka'), work, { recursive: true });
    const args = ['build', '--build-arg', `BASE=${BASE_IMAGE}`, '-t', KAFKA_IMAGE, work];
    await docker(host, args, { command: dockerCommand() });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  say(`built ${KAFKA_IMAGE} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
}

/** What npm on this host knows of its registry goes into the build as secrets, which no layer keeps. */
function secrets(work) {
  const settings = ['registry', 'strict-ssl', 'proxy', 'https-proxy'].flatMap((key) => {
    const value = spawnSync('npm', ['config', 'get', key], { encoding: 'utf8' }).stdout.trim();
    return value === '' || value === 'null' || value === 'undefined' ? [] : [`${key}=${value}`];
  });
  const file = join(work, 'npmrc');
  writeFileSync(file, [...settings, `cafile=${AUTHORITIES}`, ''].join('\n'), { mode: 0o600 });
  const given = ['--secret', `id=npmrc,src=${file}`];
  return existsSync(AUTHORITIES) ? [...given, '--secret', `id=ca,src=${AUTHORITIES}`] : given;
}
