import { initialState, withSnapshot, type TopNode, type TopProcess, type TopState } from './model.js';

const MIB = 1024 * 1024;

/** Half past nine in UTC, so that golden frames do not depend on the day. */
export const NOW = new Date('2026-01-31T09:30:00.000Z');

export function process(pid: number, program: string, over: Partial<TopProcess> = {}): TopProcess {
  const rss = (200 - pid) * MIB;
  return {
    key: `web-1/boot/${pid}/1`,
    pid,
    ppid: 1,
    program,
    commandLine: `/usr/bin/${program} --serve`,
    service: `${program}.service`,
    cgroup: `/system.slice/${program}.service`,
    user: 'www-data',
    state: 'S',
    threads: 4,
    startedAt: '2026-01-30T09:30:00.000Z',
    stale: false,
    cpu: { percent: 0.5 },
    memory: {
      rss,
      vms: 4 * rss,
      shared: MIB,
      text: MIB,
      data: rss,
      lib: 2 * MIB,
      dirty: rss / 2,
      anonymous: rss - 4 * MIB,
      file: 4 * MIB,
      shmem: 0,
      swap: 0,
      pss: rss - 2 * MIB,
      uss: rss - 3 * MIB,
    },
    growth: { bytesPerHour: 0, low: -1, high: 1, window: 600, source: 'DETECTOR', secondsToExhaustion: null },
    leak: { state: 'STABLE', since: '2026-01-31T08:30:00.000Z', confidence: 0.9, imminent: false },
    ...over,
  };
}

export function node(processes: TopProcess[], over: Partial<TopNode> = {}): TopNode {
  return {
    id: 'web-1',
    hostname: 'web-1',
    state: 'ACTIVE',
    stale: false,
    kernel: '6.18.44',
    cpuCount: 8,
    uptime: 3 * 86_400 + 4 * 3_600,
    processCount: 412,
    memory: {
      total: 24_576 * MIB,
      available: 12_288 * MIB,
      used: 12_288 * MIB,
      free: 4_096 * MIB,
      active: null,
      inactive: null,
      buffers: null,
      cached: null,
      shared: null,
      swapTotal: 2_048 * MIB,
      swapFree: 1_536 * MIB,
    },
    load: { one: 0.52, five: 0.61, fifteen: 0.7, running: 2, total: 1_234 },
    pressure: { some: { avg10: 1.5, avg60: 0, avg300: 0 }, full: { avg10: 0.2, avg60: 0, avg300: 0 } },
    cpu: { busyPercent: 37.4 },
    findings: [
      { state: 'CONFIRMED', imminent: true },
      { state: 'SUSPECTED', imminent: false },
      { state: 'GROWING', imminent: false },
      { state: 'GROWING', imminent: false },
    ],
    processes: { totalCount: processes.length, nodes: processes },
    ...over,
  };
}

const growing = (bytesPerHour: number): TopProcess['growth'] => ({
  bytesPerHour,
  low: bytesPerHour * 0.9,
  high: bytesPerHour * 1.1,
  window: 1_800,
  source: 'DETECTOR',
  secondsToExhaustion: 7_200,
});

/** A node with every kind of row: leaking, kernel thread, hostile name, wide name, unknown values. */
export const ROWS: TopProcess[] = [
  process(11, 'leaky', {
    growth: growing(3_600 * MIB),
    leak: { state: 'CONFIRMED', since: '2026-01-31T09:00:00.000Z', confidence: 0.99, imminent: true },
    state: 'R',
    cpu: { percent: 99.7 },
  }),
  process(12, 'chrome', {
    growth: growing(96 * MIB),
    leak: { state: 'SUSPECTED', since: null, confidence: 0.7, imminent: false },
  }),
  process(13, 'java', {
    growth: growing(12 * MIB),
    leak: { state: 'GROWING', since: null, confidence: 0.4, imminent: false },
  }),
  process(14, 'cache', { leak: { state: 'SATURATING', since: null, confidence: 0.5, imminent: false } }),
  process(15, '日本語プロセス', { commandLine: '/opt/日本語/プロセス --オプション', user: 'ユーザー' }),
  process(16, 'evil\x1b[2J\x1b[31m', { commandLine: 'evil \x1b]0;owned\x07 \u202egnp.exe\n\n\n' }),
  process(17, 'kworker/0:1', {
    commandLine: null,
    user: 'root',
    state: 'I',
    cpu: { percent: null },
    growth: null,
    memory: {
      rss: 0,
      vms: 0,
      shared: 0,
      text: 0,
      data: 0,
      lib: null,
      dirty: null,
      anonymous: null,
      file: null,
      shmem: null,
      swap: null,
      pss: null,
      uss: null,
    },
    leak: { state: 'LEARNING', since: null, confidence: null, imminent: false },
  }),
  process(18, 'nginx', { memory: { ...process(18, 'nginx').memory, swap: '536870912' } }),
];

/** What the view holds after twelve refreshes in which the first process grew. */
export function sampleState(rows: TopProcess[] = ROWS, over: Partial<TopState> = {}): TopState {
  let state = initialState('http://127.0.0.1:4000/graphql', 'web-1', 'rss', '');
  for (let refresh = 0; refresh < 12; refresh++) {
    const now = rows.map((row, index): TopProcess => {
      if (index > 1 || row.memory.anonymous === null) return row;
      const grown = Number(row.memory.anonymous) + refresh * (index === 0 ? 8 : 2) * MIB;
      return { ...row, memory: { ...row.memory, anonymous: grown } };
    });
    state = withSnapshot(state, { node: node(now), nodes: ['web-1', 'web-2'], receivedAt: NOW.getTime() });
  }
  return { ...state, ...over };
}
