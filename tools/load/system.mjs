// The node's own figures: what /proc/meminfo, loadavg, stat, net/dev and diskstats would say.
import { between } from './random.mjs';

const GIB = 2 ** 30;
const CPUS = ['cpu', 'cpu0', 'cpu1', 'cpu2', 'cpu3'];
/** A collector reads memory in every round, and the rest every 5 s. */
const SELDOM_ROUNDS = 5;

/** @param {{ random: () => number, processes: number, index?: number }} options `index`: hosts do not read in the same round */
export function createSystem({ random, processes, index = 0 }) {
  const total = 64 * GIB;
  let used = 20 * GIB;
  const cpus = CPUS.map((name) => ({ name, user: 0, nice: 0, system: 0, idle: 0, iowait: 0 }));
  const network = { rxBytes: 0, rxPackets: 0, txBytes: 0, txPackets: 0 };
  const disk = { reads: 0, readSectors: 0, writes: 0, writtenSectors: 0 };
  const seldom = ({ at, bootedAt }) => ({
    load: {
      one: Math.round(random() * 400) / 100,
      five: 2,
      fifteen: 2,
      running: between(random, 1, 4),
      total: processes,
    },
    uptime: { up: Math.round((at - bootedAt) / 10) / 100, idle: 0 },
    cpus: cpus.map((cpu) => ({ ...cpu })),
    interfaces: [{ name: 'eth0', ...NO_TRAFFIC, ...network }],
    disks: [{ name: 'nvme0n1', ...disk }],
    cgroups: cgroups(used),
  });
  return {
    /** The sections that a round brings; a keyframe has all. */
    round(number, { at, bootedAt, keyframe }) {
      used = Math.min(total, Math.max(GIB, used + between(random, -500, 500) * 4096));
      for (const cpu of cpus) {
        cpu.user += between(random, 0, 40) * 10;
        cpu.system += between(random, 0, 10) * 10;
        cpu.idle += between(random, 50, 90) * 10;
      }
      network.rxBytes += between(random, 0, 200_000);
      network.rxPackets += between(random, 0, 300);
      network.txBytes += between(random, 0, 200_000);
      network.txPackets += between(random, 0, 300);
      disk.writes += between(random, 0, 30);
      disk.writtenSectors += between(random, 0, 30) * 8;
      return {
        memory: { total, available: total - used, used, free: Math.floor((total - used) / 2), cached: 8 * GIB },
        ...((keyframe || (number + index) % SELDOM_ROUNDS === 0) && seldom({ at, bootedAt })),
      };
    },
  };
}

function cgroups(used) {
  return ['/system.slice', '/user.slice'].map((path, index) => ({ path, usage: Math.floor(used / (index + 2)) }));
}

const NO_TRAFFIC = {
  ...{ rxBytes: 0, rxPackets: 0, rxErrors: 0, rxDropped: 0, rxFifo: 0, rxFrame: 0, rxCompressed: 0, rxMulticast: 0 },
  ...{ txBytes: 0, txPackets: 0, txErrors: 0, txDropped: 0, txFifo: 0, txCollisions: 0, txCarrier: 0, txCompressed: 0 },
};
