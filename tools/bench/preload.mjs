// The preload benchmark: what the preloaded library costs programs that allocate all day, beside nothing at all, beside an
// interposer that only passes calls on, and beside heaptrack when it is installed; all in turns within one run.
//
//   npm run bench -- preload            BENCH_RUNS=5 BENCH_PROGRAMS=factor,minimize BENCH_VARIANTS=bare,sampled BENCH_SCALE=1
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { redisThroughput } from './preload/redis.mjs';
import { median } from './parts/median.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const programs = join(root, 'tools', 'bench', 'preload');
const build = join(programs, 'build');
const library = join(root, 'preload', 'build', 'libtidemark.so');
const runs = Number(process.env.BENCH_RUNS ?? 5);
const scale = Number(process.env.BENCH_SCALE ?? 1);
// The rings on tmpfs, as in use; what heaptrack writes goes to the disk, as in use too.
const rings = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tidemark-bench-'));
const scratch = mkdtempSync(join(tmpdir(), 'tidemark-bench-'));

/** Environment of each variant. */
const traced = (settings) => ({ LD_PRELOAD: library, TIDEMARK_DIR: rings, ...settings });
const VARIANTS = {
  bare: {},
  empty: { LD_PRELOAD: join(build, 'empty-interposer.so') },
  dormant: traced({ TIDEMARK_MODE: 'dormant' }),
  sampled: traced({ TIDEMARK_MODE: 'sampled' }),
  caller: traced({ TIDEMARK_MODE: 'exact', TIDEMARK_STACKS: 'caller' }),
  exact: traced({ TIDEMARK_MODE: 'exact' }),
  heaptrack: {},
};
const NAMES = {
  bare: 'bare',
  empty: 'empty interposer',
  dormant: 'dormant',
  sampled: 'sampled, 512 KiB',
  caller: 'exact, caller only',
  exact: 'exact, full stacks',
  heaptrack: 'heaptrack',
};

const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();
const scaled = (count) => String(Math.max(1, Math.round(count * scale)));
/** `targets`: the most of the bare time that a variant may take. */
const PROGRAMS = {
  factor: {
    what: 'continued fractions, 42 million numbers',
    command: [join(build, 'factor'), '3968464381812466659100228499', '120'],
    targets: { dormant: 1.03, sampled: 1.1, caller: 1.5, exact: 2 },
  },
  minimize: {
    what: 'logic minimisation, larger live set',
    command: [join(build, 'minimize'), scaled(800), '24', '40'],
    targets: { sampled: 1.1, exact: 2 },
  },
  python: {
    what: 'CPython, PYTHONMALLOC=malloc',
    command: [python, join(programs, 'objects.py'), scaled(60)],
    environment: { PYTHONMALLOC: 'malloc', PYTHONHASHSEED: '0' },
    targets: {},
  },
  ...Object.fromEntries(
    [1, 2, 4, 8].map((threads) => [
      `threads${threads}`,
      {
        what: `${threads} thread${threads > 1 ? 's' : ''}, a window of blocks each`,
        command: [join(build, 'pairs'), String(threads), scaled(30_000_000)],
        targets: {},
      },
    ]),
  ),
};

const wantedPrograms = (process.env.BENCH_PROGRAMS ?? [...Object.keys(PROGRAMS), 'redis'].join(',')).split(',');
const hasHeaptrack = spawnSync('heaptrack', ['--version']).status === 0;
const wantedVariants = (process.env.BENCH_VARIANTS ?? Object.keys(VARIANTS).join(','))
  .split(',')
  .filter((variant) => variant !== 'heaptrack' || hasHeaptrack);

execFileSync('make', ['-s', '-C', programs], { stdio: ['ignore', 2, 2] });
if (wantedVariants.some((variant) => VARIANTS[variant].LD_PRELOAD === library))
  execFileSync('make', ['-s', '-C', join(root, 'preload')], { stdio: ['ignore', 2, 2] });
try {
  print(`${runs} runs of each variant in turns, medians; in brackets the least and the most`);
  if (!hasHeaptrack) print('heaptrack is not installed: nothing to compare with');
  for (const name of wantedPrograms) {
    if (name === 'redis') await benchRedis();
    else if (PROGRAMS[name]) benchProgram(PROGRAMS[name]);
    else
      throw new Error(`BENCH_PROGRAMS names ${JSON.stringify(name)}: use ${Object.keys(PROGRAMS).join(', ')}, redis`);
  }
} finally {
  rmSync(rings, { recursive: true, force: true });
  rmSync(scratch, { recursive: true, force: true });
}

function benchProgram(program) {
  const times = Object.fromEntries(wantedVariants.map((variant) => [variant, []]));
  for (let run = -1; run < runs; run++) {
    for (const variant of wantedVariants) {
      // heaptrack takes long: three runs of it are enough for a reference.
      if (variant === 'heaptrack' && (run < 0 || run >= 3)) continue;
      const time = timeOne(program, variant);
      if (run >= 0) times[variant].push(time);
    }
  }
  print(`\n${program.what}`);
  const bare = times.bare ?? [];
  for (const variant of wantedVariants) report(variant, times[variant], bare, program.targets[variant]);
  compareWithHeaptrack(times);
}

/** Runs of one turn lie side by side in time: their ratio feels the neighbours least, and that of CPU time less than of time. */
function report(variant, times, bare, target) {
  const cells = ['wall', 'cpu'].map((what) => {
    const ratios = times.map((one, run) => one[what] / (bare[run]?.[what] ?? Number.NaN));
    const spread = `[${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}]`;
    return `${median(times.map((one) => one[what])).toFixed(3)} s ${median(ratios).toFixed(3)}× ${spread.padEnd(13)}`;
  });
  const rss = `${Math.round(median(times.map((one) => one.rssKb)) / 1024)} MB`;
  const asked = target ? `  target ${target.toFixed(2)}×` : '';
  print(`  ${NAMES[variant].padEnd(20)} ${cells[0]}  CPU ${cells[1]} ${rss.padStart(6)}${asked}`);
}

function compareWithHeaptrack(times) {
  if (!times.heaptrack?.length || !times.exact?.length || !times.bare?.length) return;
  const added = (variant, what) =>
    median(times[variant].map((one) => one[what])) - median(times.bare.map((one) => one[what]));
  for (const [what, name] of [
    ['wall', 'time'],
    ['cpu', 'CPU time'],
  ]) {
    const times_less = added('heaptrack', what) / added('exact', what);
    print(`  heaptrack adds ${times_less.toFixed(1)} times the ${name} that exact with full stacks adds  target 4.0`);
  }
}

/** Wall clock and CPU time of one run with all its descendants, seconds. */
function timeOne(program, variant) {
  const out = join(scratch, 'time');
  const environment = { ...program.environment, ...VARIANTS[variant] };
  const settings = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  const command =
    variant === 'heaptrack'
      ? ['heaptrack', '-r', '-o', join(scratch, 'heaptrack'), ...program.command]
      : program.command;
  const done = spawnSync(join(build, 'timed'), [out, ...settings, ...command], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${variant}: ${command.join(' ')} ended with ${done.status}: ${done.stderr}`);
  for (const ring of readdirSync(rings)) rmSync(join(rings, ring), { force: true });
  const [wall, user, system, rssKb] = readFileSync(out, 'utf8').split(' ').map(Number);
  return { wall, cpu: user + system, rssKb };
}

async function benchRedis() {
  const rates = Object.fromEntries(wantedVariants.map((variant) => [variant, []]));
  for (let run = -1; run < runs; run++) {
    for (const variant of wantedVariants) {
      if (variant === 'heaptrack') continue;
      const rate = await redisThroughput({ environment: VARIANTS[variant], directory: scratch, scale });
      if (rate === undefined) return print('\nredis-server or redis-benchmark is not installed: left out');
      if (run >= 0) rates[variant].push(rate);
    }
  }
  print('\nredis-server under redis-benchmark (SET, GET, LPUSH, HSET, 50 clients)');
  for (const variant of wantedVariants) {
    if (!rates[variant].length) continue;
    const slower = rates[variant].map(({ rate }, run) => (rates.bare?.[run]?.rate ?? Number.NaN) / rate);
    const cpu = rates[variant].map(({ cpuUs }, run) => cpuUs / (rates.bare?.[run]?.cpuUs ?? Number.NaN));
    const spread = (ratios) => `[${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}]`.padEnd(13);
    const asked = variant === 'sampled' ? '  target 1.02×' : '';
    const rate = Math.round(median(rates[variant].map((one) => one.rate))).toLocaleString('en');
    const us = median(rates[variant].map((one) => one.cpuUs)).toFixed(2);
    print(
      `  ${NAMES[variant].padEnd(20)} ${rate.padStart(9)}/s ${median(slower).toFixed(3)}× ${spread(slower)}  ` +
        `CPU ${us} µs a request ${median(cpu).toFixed(3)}× ${spread(cpu)}${asked}`,
    );
  }
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
