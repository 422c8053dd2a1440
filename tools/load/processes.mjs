// The processes of one made-up host, as columns of plain numbers: a thousand hosts of 500 fit into 100 MB.
import { between } from './random.mjs';

const PAGE = 4096;
const TICK_MS = 10;
const MIB_PAGES = 256;
/** Rounds between two readings of PSS, USS and dirty of one process. */
const SMAPS_ROUNDS = 20;

/** Shares of the processes, and how often each kind changes against the mean of all. */
const KINDS = { idle: 0, light: 1, busy: 2, leak: 3 };
const IDLE_SHARE = 0.7;
const LIGHT_SHARE = 0.22;

/** Cells of a row that a round may bring; the rest stand in the first row of a process and in keyframes. */
const MOVING = ['utime', 'stime', 'minflt', 'vms', 'rss', 'data', 'dirty', 'rssAnon', 'pss', 'uss'];
const RESTING = [
  'ppid',
  'pgrp',
  'session',
  'threads',
  'majflt',
  'shared',
  'text',
  'lib',
  'rssFile',
  'rssShmem',
  'swap',
];

const PROGRAMS = ['postgres', 'nginx', 'java', 'python3', 'node', 'redis-server', 'sshd', 'bash', 'chrome', 'kworker'];

/**
 * @param {{ random: () => number, count: number, changing: number, leaks: number, bootedAt: number }} options
 *   `changing` is the mean share of processes that change in a round; `leaks` of the processes leak.
 */
export function createProcesses({ random, count, changing, leaks, bootedAt }) {
  const pid = new Uint32Array(count);
  const start = new Float64Array(count);
  const kind = new Uint8Array(count);
  const utime = new Float64Array(count);
  const stime = new Float64Array(count);
  const minflt = new Float64Array(count);
  const anon = new Float64Array(count);
  const file = new Float64Array(count);
  const heap = new Float64Array(count);
  const chance = chances(changing);
  let lastPid = 1000;

  function spawn(slot, at) {
    lastPid = lastPid >= 4_000_000 ? 1001 : lastPid + 1 + Math.floor(random() * 3);
    pid[slot] = lastPid;
    start[slot] = Math.floor((at - bootedAt) / TICK_MS);
    kind[slot] = slot < leaks ? KINDS.leak : kindOf(random());
    utime[slot] = stime[slot] = 0;
    minflt[slot] = between(random, 100, 5_000);
    // Most processes are small and a few are large.
    anon[slot] = Math.floor(0.5 * MIB_PAGES * 2 ** (random() * 9));
    file[slot] = Math.floor(MIB_PAGES * 2 ** (random() * 5));
    heap[slot] = Math.ceil((anon[slot] * 1.25) / 1024) * 1024;
  }

  /** Moves the figures of one process on; true when its memory moved. */
  function live(slot) {
    utime[slot] += TICK_MS * between(random, 1, 5);
    if (random() < 0.5) stime[slot] += TICK_MS;
    const leaking = kind[slot] === KINDS.leak;
    if (!leaking && random() < 0.5) return false;
    const pages = leaking ? between(random, 20, 60) : between(random, -12, 12);
    anon[slot] = Math.max(64, anon[slot] + pages);
    minflt[slot] += Math.abs(pages);
    while (anon[slot] > heap[slot]) heap[slot] += 1024;
    return true;
  }

  const values = {
    utime: (slot) => utime[slot],
    stime: (slot) => stime[slot],
    minflt: (slot) => minflt[slot],
    vms: (slot) => (heap[slot] + file[slot] * 4 + 2_000) * PAGE,
    rss: (slot) => (anon[slot] + file[slot]) * PAGE,
    data: (slot) => (heap[slot] + 33) * PAGE,
    dirty: (slot) => anon[slot] * PAGE,
    rssAnon: (slot) => anon[slot] * PAGE,
    pss: (slot) => (anon[slot] + Math.floor(file[slot] / 3)) * PAGE,
    uss: (slot) => (anon[slot] + Math.floor(file[slot] / 9)) * PAGE,
    ppid: () => 1,
    pgrp: (slot) => pid[slot],
    session: (slot) => pid[slot],
    threads: (slot) => 1 + (slot % 7),
    majflt: (slot) => slot % 13,
    shared: (slot) => file[slot] * PAGE,
    text: (slot) => (100 + (slot % 10) * 300) * PAGE,
    lib: () => 2_000 * PAGE,
    rssFile: (slot) => file[slot] * PAGE,
    rssShmem: () => 0,
    swap: () => 0,
  };

  return {
    count,
    pid,
    start,
    spawn,
    isLeak: (slot) => kind[slot] === KINDS.leak,
    anonBytes: (slot) => anon[slot] * PAGE,
    /** Rows of every process, with every figure. */
    all: () => allRows(count, pid, start, values),
    /** One round: rows of those that changed, with the figures that did. `fresh` are slots that nobody was told of. */
    round(number, fresh) {
      const rows = emptyRows();
      for (let slot = 0; slot < count; slot++) {
        if (fresh.has(slot)) continue;
        if (random() >= chance[kind[slot]]) continue;
        const before = { stime: stime[slot], heap: heap[slot] };
        const moved = live(slot);
        const smaps = (number + slot) % SMAPS_ROUNDS === 0;
        rows.pid.push(pid[slot]);
        rows.start.push(start[slot]);
        rows.state.push(null);
        rows.utime.push(utime[slot]);
        rows.stime.push(stime[slot] === before.stime ? null : stime[slot]);
        rows.minflt.push(moved ? minflt[slot] : null);
        rows.vms.push(heap[slot] === before.heap ? null : values.vms(slot));
        rows.rss.push(moved ? (anon[slot] + file[slot]) * PAGE : null);
        rows.data.push(heap[slot] === before.heap ? null : values.data(slot));
        rows.dirty.push(smaps ? values.dirty(slot) : null);
        rows.rssAnon.push(moved ? anon[slot] * PAGE : null);
        rows.pss.push(smaps ? values.pss(slot) : null);
        rows.uss.push(smaps ? values.uss(slot) : null);
      }
      return addFresh(rows, fresh, pid, start, values);
    },
    facts: (slots) => factsOf(slots, { pid, start, bootedAt }),
  };
}

function kindOf(chance) {
  if (chance < IDLE_SHARE) return KINDS.idle;
  return chance < IDLE_SHARE + LIGHT_SHARE ? KINDS.light : KINDS.busy;
}

/** Chance of each kind to change in a round, so that the mean over all is `changing`; leaks always do. */
function chances(changing) {
  const busyShare = 1 - IDLE_SHARE - LIGHT_SHARE;
  const busy = Math.min(1, changing * 5);
  const light = Math.min(1, changing * 1.5);
  const rest = changing - busy * busyShare - light * LIGHT_SHARE;
  return [Math.min(1, Math.max(0, rest / IDLE_SHARE)), light, busy, 1];
}

function emptyRows() {
  const rows = { pid: [], start: [], state: [] };
  for (const name of MOVING) rows[name] = [];
  return rows;
}

/** Puts the newcomers in, with all they have, and leaves out columns that say nothing. */
function addFresh(rows, fresh, pid, start, values) {
  if (fresh.size > 0) for (const name of RESTING) rows[name] = new Array(rows.pid.length).fill(null);
  for (const slot of fresh) {
    rows.pid.push(pid[slot]);
    rows.start.push(start[slot]);
    rows.state.push('S');
    for (const name of MOVING) rows[name].push(values[name](slot));
    for (const name of RESTING) rows[name].push(values[name](slot));
  }
  for (const name of ['state', ...MOVING]) if (rows[name].every((cell) => cell === null)) delete rows[name];
  return rows;
}

function allRows(count, pid, start, values) {
  const slots = Array.from({ length: count }, (_, slot) => slot);
  const rows = { pid: Array.from(pid), start: Array.from(start), state: new Array(count).fill('S') };
  for (const name of [...MOVING, ...RESTING]) rows[name] = slots.map(values[name]);
  return rows;
}

function factsOf(slots, { pid, start, bootedAt }) {
  const programs = slots.map((slot) => PROGRAMS[slot % PROGRAMS.length]);
  const each = (value) => slots.map(() => value);
  return {
    pid: slots.map((slot) => pid[slot]),
    start: slots.map((slot) => start[slot]),
    startedAt: slots.map((slot) => bootedAt + start[slot] * TICK_MS),
    program: programs,
    commandLine: slots.map(
      (slot, index) => `/usr/bin/${programs[index]} --worker ${slot} --config /etc/${slot % 17}.conf`,
    ),
    uid: slots.map((slot) => 1000 + (slot % 5)),
    gid: slots.map((slot) => 1000 + (slot % 5)),
    user: slots.map((slot) => `user-${slot % 5}`),
    cgroup: slots.map((_, index) => `/system.slice/${programs[index]}.service`),
    service: each(null).map((_, index) => `${programs[index]}.service`),
  };
}
