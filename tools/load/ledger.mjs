// What a chunk must look like in history, in a few exact numbers.

const PID_MODULUS = 8_191;
const PAGE_MODULUS = 65_521;

/**
 * Rows that a chunk makes, and sums over its rows which are exact whole numbers. `mix` ties each value to its process:
 * Σ (pid mod 8191) · (rss/4096 mod 65521) over rows that have an rss.
 */
export function chunkFigures({ procs, facts, exits, system }) {
  let [pids, rss, utime, mix] = [0, 0, 0, 0];
  for (let row = 0; row < procs.pid.length; row++) {
    const pid = procs.pid[row];
    const bytes = procs.rss?.[row] ?? null;
    pids += pid;
    utime += procs.utime?.[row] ?? 0;
    if (bytes === null) continue;
    rss += bytes;
    mix += (pid % PID_MODULUS) * (Math.floor(bytes / 4096) % PAGE_MODULUS);
  }
  return {
    rows: procs.pid.length,
    facts: facts.pid.length,
    exits: exits.pid.length,
    ...systemRows(system),
    pids,
    rss,
    utime,
    mix,
  };
}

/** The same sums of the rows of `process_samples AS s`, as ClickHouse computes them. */
export const FIGURES_SQL = `count() AS rows, sum(s.pid) AS pids, sum(s.rss) AS rss, sum(s.utime) AS utime,
  sum((s.pid % ${PID_MODULUS}) * (intDiv(s.rss, 4096) % ${PAGE_MODULUS})) AS mix`;

function systemRows({ memory, load, pressure, uptime, counters, cpus, interfaces, disks, cgroups }) {
  const node = memory ?? load ?? pressure ?? uptime ?? counters;
  const devices = [cpus, interfaces, disks, cgroups].reduce((sum, list) => sum + (list?.length ?? 0), 0);
  return { nodeRows: node ? 1 : 0, deviceRows: devices };
}
