// Memory of the collector app as it runs in a cluster, sending to a real broker, on a host of many processes that come and
// stay. Beside it: a Node process that does nothing, which is the floor.
//
//   npm run bench -- collector-memory     BENCH_PROCESSES=1000 BENCH_MINUTES=5 by default
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../kafka/cluster.mjs';

const PROCESSES = Number(process.env.BENCH_PROCESSES ?? 1000);
const MINUTES = Number(process.env.BENCH_MINUTES ?? 5);
const MAIN = join(import.meta.dirname, '..', '..', 'apps', 'collector', 'dist', 'main.js');
const directory = mkdtempSync(join(tmpdir(), 'tidemark-bench-memory-'));
const ends = [];

try {
  const kafka = await startKafka({ directory: join(directory, 'kafka') });
  ends.push(() => kafka.stop());
  for (let index = 0; index < PROCESSES; index++) start('sleep', ['1000000']);
  const idle = start(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const settings = {
    ...{ 'data.directory': join(directory, 'data'), 'kafka.brokers': kafka.bootstrap.join(',') },
    ...{ 'status.port': 0, 'node.id': 'bench' },
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const collector = start(process.execPath, [MAIN, ...args]);
  for (let minute = 1; minute <= MINUTES; minute++) {
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    const { rss, peak, anonymous } = memoryOf(collector.pid);
    process.stdout.write(
      `minute ${String(minute).padStart(3)}   collector ${rss} MB RSS (${anonymous} MB anonymous, at most ${peak} MB so far)` +
        `   idle Node ${memoryOf(idle.pid).rss} MB\n`,
    );
  }
} finally {
  await Promise.all(ends.map((end) => end()));
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

function start(command, args) {
  const child = spawn(command, args, { stdio: 'ignore' });
  ends.push(() => void child.kill('SIGKILL'));
  return child;
}

/** Megabytes, of the kernel's KiB. */
function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name) => Math.round((Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]) * 1024) / 1e6);
  return { rss: field('VmRSS'), peak: field('VmHWM'), anonymous: field('RssAnon') };
}
