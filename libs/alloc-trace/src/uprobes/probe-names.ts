import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

/**
 * Names say whose they are, so that another collector can tell what a dead one left behind: the pid namespace by its
 * inode, the owner's pid in it, and its start time; numbers in base 36.
 */
export interface ProbeOwner {
  namespace: number;
  pid: number;
  /** Clock ticks after boot: field 22 of /proc/PID/stat. */
  startTicks: number;
}

export interface ProbeNames {
  /** Group of the events in uprobe_events, at most 63 characters. */
  group: string;
  events: { enter: string; leave: string; drop: string };
  /** Directory under instances/. */
  instance: string;
}

const GROUP = /^tidemark_([0-9a-z]+)_([0-9a-z]+)_([0-9a-z]+)_([0-9a-f]{8})$/;
const INSTANCE = /^tidemark-\d+-([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)-([0-9a-f]{8})$/;

export function namesFor(owner: ProbeOwner, target: number, tag: string = randomBytes(4).toString('hex')): ProbeNames {
  const parts = [owner.namespace, owner.pid, owner.startTicks].map((number) => number.toString(36));
  return {
    group: ['tidemark', ...parts, tag].join('_'),
    events: { enter: `enter_${tag}`, leave: `leave_${tag}`, drop: `drop_${tag}` },
    instance: ['tidemark', target, ...parts, tag].join('-'),
  };
}

/** Who made a group or an instance of this name, and what tells it apart; null when it is none of ours. */
export function ownerOf(name: string): (ProbeOwner & { tag: string }) | null {
  const match = GROUP.exec(name) ?? INSTANCE.exec(name);
  if (match === null) return null;
  const [namespace, pid, startTicks] = match.slice(1, 4).map((digits) => Number.parseInt(digits, 36));
  return { namespace: namespace!, pid: pid!, startTicks: startTicks!, tag: match[4]! };
}

/** State, start time (field 22), and where code and stack begin (26, 28), of /proc/PID/stat; null without the process. */
export function startOf(pid: number): { startTicks: number; state: string; image: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, startTicks: Number(fields[19]), image: `${fields[23]} ${fields[25]}` };
  } catch {
    return null;
  }
}

export function thisOwner(): ProbeOwner {
  return {
    namespace: statSync('/proc/self/ns/pid').ino,
    pid: process.pid,
    startTicks: startOf(process.pid)?.startTicks ?? 0,
  };
}

/** Whether the maker is gone for certain: only within our own pid namespace can that be known. */
export function isGone(owner: ProbeOwner, namespace: number): boolean {
  if (owner.namespace !== namespace) return false;
  const found = startOf(owner.pid);
  return found === null || found.startTicks !== owner.startTicks || found.state === 'Z' || found.state === 'X';
}
