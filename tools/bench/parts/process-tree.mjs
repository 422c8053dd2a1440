// CPU time and memory of a process and of all that it started, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** Hundredths of a second make a tick on every Linux that Node runs on. */
const TICK_MS = 10;

/** CPU time, milliseconds. */
export function cpuOfTree(pid) {
  return sumOver(pid, (one) => {
    const fields = statOf(one);
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  });
}

/** Resident memory, bytes. */
export function rssOfTree(pid) {
  return sumOver(pid, (one) => {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, 'latin1'))?.[1];
    return Number(kib ?? 0) * 1024;
  });
}

function sumOver(pid, figure) {
  let sum = 0;
  for (const one of treeOf(pid)) {
    try {
      sum += figure(one);
    } catch {
      // Ended while it was looked at.
    }
  }
  return sum;
}

function treeOf(pid) {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [{ pid: Number(name), parent: Number(statOf(name)[1]) }];
      } catch {
        return [];
      }
    });
  const tree = [pid];
  for (const one of tree) tree.push(...children.filter(({ parent }) => parent === one).map((child) => child.pid));
  return tree;
}

/** Fields of /proc/PID/stat behind the name, which may hold anything. */
function statOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
