// `npm run kafka` runs Apache Kafka in KRaft mode on the loopback until it is asked to stop.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startKafka } from './kafka/cluster.mjs';

const USAGE = `Usage: npm run kafka -- [options]

Runs Apache Kafka (fetched with Maven, needs Java 17) until Ctrl-C.

  --brokers N   one or three (default 1)
  --port N      port of the first broker, the others follow (default 9092)
  --data DIR    where its records are kept (default .cache/kafka-data)
  --secure      also listen with TLS and passwords (SASL PLAIN, SCRAM-SHA-256, SCRAM-SHA-512)
`;

const root = join(fileURLToPath(new URL('.', import.meta.url)), '..');
const say = (line) => process.stdout.write(`${line}\n`);
const options = readOptions();
let cluster;
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop(signal));

try {
  cluster = await startKafka({ ...options, say });
  say('');
  say(`  Kafka     ${cluster.bootstrap.join(',')}`);
  if (options.secure) {
    say(`  Secure    ${cluster.secureBootstrap.join(',')}   authority ${join(options.directory, 'tls', 'ca.pem')}`);
    for (const [user, password] of Object.entries(cluster.users)) say(`            user ${user}, password ${password}`);
  }
  say(`  Kept in   ${options.directory}`);
  say('');
  say('Stop with Ctrl-C.');
  setInterval(watch, 1_000);
} catch (error) {
  if (!stopping) process.stderr.write(`kafka: ${error.message}\n`);
  process.exitCode = stopping ? 0 : 1;
}

/** A broker that ended by itself is told of, and the others go on. */
function watch() {
  for (const broker of cluster.brokers) {
    if (stopping || broker.pid !== undefined || broker.told) continue;
    broker.told = true;
    process.stderr.write(
      `kafka: broker ${broker.id} has ended; see ${join(options.directory, `broker-${broker.id}`)}\n`,
    );
    if (cluster.brokers.every(({ pid }) => pid === undefined)) process.exit(1);
  }
}

async function stop(signal) {
  if (stopping) return;
  stopping = true;
  say(`Stopping on ${signal}…`);
  await cluster?.stop();
  process.exit(0);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        brokers: { type: 'string', default: '1' },
        port: { type: 'string', default: '9092' },
        data: { type: 'string', default: join(root, '.cache', 'kafka-data') },
        secure: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      say(USAGE);
      process.exit(0);
    }
    const [brokers, port] = [Number(values.brokers), Number(values.port)];
    if (brokers !== 1 && brokers !== 3) throw new Error(`--brokers ${values.brokers}: must be 1 or 3`);
    if (!Number.isInteger(port) || port < 1 || port > 65_533) {
      throw new Error(`--port ${values.port}: must be a whole number from 1 to 65533`);
    }
    return { brokers, port, directory: resolve(values.data), secure: values.secure };
  } catch (error) {
    process.stderr.write(`kafka: ${error.message.split('\n')[0]}; --help lists the options\n`);
    process.exit(2);
  }
}
