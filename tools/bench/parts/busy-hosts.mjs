// Hosts whose processes all change every second, as the benchmarks of the pipeline play them.
import { createSimulatedHost } from '@tidemark/live/simulated-host';

/** A host with `processes` processes that have figures of everything. */
export function busyHost(index, processes) {
  const host = createSimulatedHost(`node-${String(index).padStart(3, '0')}`);
  for (let pid = 1; pid <= processes; pid++) {
    const program = `program-${pid % 40}`;
    host.spawn(pid, { program, commandLine: `/usr/bin/${program} --worker ${pid}`, service: `${program}.service` });
    const rss = (1 + Math.floor(Math.random() * 100_000)) * 4096;
    host.set(pid, { ppid: 1, pgrp: pid, session: pid, threads: 4, utime: 0, stime: 0, minflt: 0, majflt: 0 });
    host.set(pid, { vms: rss * 4, rss, shared: rss / 4, text: 1 << 20, data: rss * 2, lib: 8 << 20, dirty: rss / 2 });
    host.set(pid, { rssAnon: rss / 2, rssFile: rss / 2, rssShmem: 0, swap: 0, pss: rss, uss: rss / 2 });
  }
  return host;
}

/** What a busy process does in a second. */
export function change(host, pid, round) {
  const { numbers } = host.processes.get(pid);
  const pages = (Math.floor(Math.random() * 21) - 10) * 4096;
  const next = {
    utime: numbers.utime + 10 * (1 + Math.floor(Math.random() * 5)),
    minflt: numbers.minflt + Math.floor(Math.random() * 20),
  };
  if (Math.random() < 0.5) next.stime = numbers.stime + 10;
  if (Math.random() < 0.6)
    Object.assign(next, { rssAnon: Math.max(0, numbers.rssAnon + pages), rss: Math.max(4096, numbers.rss + pages) });
  if ((pid + round) % 20 === 0) Object.assign(next, { pss: numbers.rss, uss: numbers.rssAnon, dirty: numbers.rssAnon });
  host.set(pid, next);
}

/** What the host tells of itself in a round. */
export function systemOf(round, processes) {
  const cpu = (name) => ({ name, user: round * 500, nice: 0, system: round * 100, idle: round * 400, iowait: 0 });
  return {
    memory: { total: 64e9, available: 32e9 - round * 4096, used: 32e9 + round * 4096, free: 1e9, cached: 2e10 },
    load: { one: 1, five: 1, fifteen: 1, running: 1 + (round % 3), total: processes },
    cpus: ['cpu', 'cpu0', 'cpu1', 'cpu2', 'cpu3'].map(cpu),
  };
}
