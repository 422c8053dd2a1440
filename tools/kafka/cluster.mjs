// Apache Kafka in KRaft mode on this host: one or three brokers, each a process that can be killed and started again.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../free-ports.mjs';
import { kafkaJars } from './distribution.mjs';
import { makeCertificates } from './certificates.mjs';
import { loggingSettings, serverProperties, USERS } from './settings.mjs';

const START_MS = 240_000;
const STOP_MS = 15_000;

/**
 * Starts a cluster and waits until every broker answers. The same directory brings the same cluster back, with its
 * ports. Throws Error that names what is missing or the last words of the broker that did not start.
 *
 * @param {{ directory: string, brokers?: 1 | 3, port?: number, host?: string, secure?: boolean, memoryMb?: number,
 *   advertise?: readonly string[], properties?: Record<string, string>, say?: (line: string) => void }} options `port` is the first broker's; the others
 *   follow. Without it, free ports are taken. `secure` adds a listener that asks for TLS and a password. `advertise` are the
 *   addresses that clients are told instead of the brokers' own, by broker: those of proxies before them.
 */
export async function startKafka(options) {
  const { directory, brokers: count = 1, host = '127.0.0.1', secure = false, say = () => {} } = options;
  const jars = kafkaJars(say);
  mkdirSync(directory, { recursive: true });
  const plan = await planOf({ directory, count, port: options.port, secure, host });
  const certificates = secure ? makeCertificates(join(directory, 'tls'), host) : undefined;
  const launch = { jars, host, memoryMb: options.memoryMb ?? 384 };
  const brokers = plan.nodes.map((node, index) => {
    const advertised = options.advertise?.[index];
    const told = advertised ? { 'advertised.listeners': `PLAINTEXT://${advertised}` } : {};
    return brokerOf(node, { ...launch, plan, certificates, directory, properties: { ...told, ...options.properties } });
  });
  say(`Starting ${count === 1 ? 'a broker' : `${count} brokers`} of Apache Kafka`);
  try {
    await Promise.all(brokers.map((broker) => broker.start()));
  } catch (error) {
    await Promise.all(brokers.map((broker) => broker.kill()));
    throw error;
  }
  return {
    bootstrap: plan.nodes.map(({ port }) => `${host}:${port}`),
    secureBootstrap: plan.nodes.flatMap(({ securePort }) => (securePort ? [`${host}:${securePort}`] : [])),
    /** PEM of the authority that signed the brokers' certificates; undefined without `secure`. */
    ca: certificates?.ca,
    users: USERS,
    brokers,
    async stop() {
      await Promise.all(brokers.map((broker) => broker.stop()));
    },
  };
}

async function planOf({ directory, count, port, secure, host }) {
  const file = join(directory, 'cluster.json');
  if (existsSync(file)) {
    const plan = JSON.parse(readFileSync(file, 'utf8'));
    const same = plan.nodes.length === count && (port === undefined || plan.nodes[0].port === port);
    if (same && plan.secure === secure && plan.host === host) return plan;
    throw new Error(
      `${directory} holds a cluster of ${plan.nodes.length} brokers at ${plan.host}:${plan.nodes[0].port}${plan.secure ? ' with TLS' : ''}: start it with the same options, or name another directory`,
    );
  }
  const free = await freePorts(3 * count, host);
  const nodes = Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    port: port === undefined ? free[index] : port + index,
    controllerPort: free[count + index],
    ...(secure && { securePort: free[2 * count + index] }),
  }));
  // KRaft wants 16 bytes as base64 of the URL's alphabet, and none that begins with a dash.
  const plan = { id: `A${randomBytes(16).toString('base64url').slice(1, 22)}`, host, secure, nodes };
  writeFileSync(file, JSON.stringify(plan, null, 2));
  return plan;
}

/** One process of the cluster. */
function brokerOf(node, { jars, host, memoryMb, properties, plan, certificates, directory }) {
  const home = join(directory, `broker-${node.id}`);
  const config = join(home, 'server.properties');
  const classpath = join(jars, '*');
  const voters = plan.nodes.map(({ id, controllerPort }) => `${id}@${host}:${controllerPort}`).join(',');
  let child;
  let gone = Promise.resolve();
  let prepared = false;

  function prepare() {
    mkdirSync(home, { recursive: true });
    const secure = certificates && { ...certificates, port: node.securePort };
    const brokers = plan.nodes.length;
    writeFileSync(config, serverProperties({ ...node, voters, brokers, directory: home, host, secure, properties }));
    writeFileSync(join(home, 'log4j2.properties'), loggingSettings(home));
    const scram = certificates
      ? Object.entries(USERS).flatMap(([name, password]) =>
          ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((kind) => [
            '--add-scram',
            `${kind}=[name=${name},password=${password}]`,
          ]),
        )
      : [];
    const format = ['-t', plan.id, '-c', config, '--ignore-formatted', ...scram];
    const { status, stdout, stderr } = spawnSync(
      'java',
      ['-Xmx128m', ...quick, '-cp', classpath, 'kafka.tools.StorageTool', 'format', ...format],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`broker ${node.id}: its directory could not be made: ${stderr || stdout}`);
  }

  async function start() {
    if (child) return;
    // Once for each cluster object: it holds up everything else in this process for seconds.
    if (!prepared) prepare();
    prepared = true;
    const out = openSync(join(home, 'output.log'), 'a');
    const heap = `${memoryMb}m`;
    const java = [
      `-Xms${heap}`,
      `-Xmx${heap}`,
      ...quick,
      `-Dlog4j2.configurationFile=${join(home, 'log4j2.properties')}`,
    ];
    const started = spawn('java', [...java, '-cp', classpath, 'kafka.Kafka', config], { stdio: ['ignore', out, out] });
    closeSync(out);
    child = started;
    gone = new Promise((resolve) => {
      started.once('error', resolve);
      started.once('exit', () => {
        if (child === started) child = undefined;
        resolve();
      });
    });
    await answering();
  }

  async function answering() {
    const end = Date.now() + START_MS;
    while (!(await listens(host, node.port))) {
      if (!child) throw new Error(`broker ${node.id} did not start: ${tail(join(home, 'output.log'))}`);
      if (Date.now() > end) throw new Error(`broker ${node.id} does not answer on ${host}:${node.port}; see ${home}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  return {
    id: node.id,
    address: `${host}:${node.port}`,
    get pid() {
      return child?.pid;
    },
    start,
    /** SIGKILL, as a power cut would have it. */
    async kill() {
      child?.kill('SIGKILL');
      await gone;
    },
    /** Goes on holding its sockets and answers nobody. */
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    /** Asks it to stop, and kills it when it takes too long. */
    async stop() {
      child?.kill('SIGTERM');
      const late = setTimeout(() => child?.kill('SIGKILL'), STOP_MS);
      await gone;
      clearTimeout(late);
    },
  };
}

/** Starts quickly on small machines; nobody reads the metrics of such a broker over JMX. */
const quick = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=4', '-Xshare:auto', '-Djava.awt.headless=true'];

function listens(host, port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const end = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

function tail(file) {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-3).join(' | ').slice(0, 600);
  } catch {
    return 'it said nothing';
  }
}
