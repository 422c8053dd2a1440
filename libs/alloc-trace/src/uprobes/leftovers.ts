import { spawn } from 'node:child_process';
import { readdir, rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TraceError } from '../errors.js';
import { readKernel, writeKernel } from './kernel-file.js';
import { removeProbes } from './probe-group.js';
import { isGone, ownerOf, thisOwner, type ProbeNames } from './probe-names.js';

const TRIES = 50;
const PAUSE_MS = 100;

/**
 * What the guard does when its standard input ends, which is when the process that holds the other end is gone, however
 * that happened. $1 tracefs, $2 instance, $3 group. The kernel refuses to remove what is in use: it tries again for 20 s.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM PIPE
PATH=/usr/bin:/bin:/usr/sbin:/sbin
while read -r line; do [ "$line" = done ] && exit 0; done
i=0
while [ $i -lt 100 ]; do
  if [ -d "$1/instances/$2" ]; then
    echo 0 > "$1/instances/$2/tracing_on"
    echo 0 > "$1/instances/$2/events/$3/enable"
    rmdir "$1/instances/$2"
  fi
  if grep -q ":$3/" "$1/uprobe_events"; then
    echo "-:$3/" >> "$1/uprobe_events"
    grep -o "^[pr][0-9]*:$3/[^ ]*" "$1/uprobe_events" | sort -u | while IFS=: read -r kind name; do
      echo "-:$name" >> "$1/uprobe_events"
    done
  fi
  [ ! -d "$1/instances/$2" ] && ! grep -q ":$3/" "$1/uprobe_events" && exit 0
  i=$((i + 1))
  sleep 0.2
done
exit 1
`;

export interface Guard {
  readonly pid: number;
  /** Ends it without its work: everything is removed already. */
  dismiss(): void;
}

/**
 * A small shell in a session of its own that outlives this process and then removes what it left. Start it before
 * anything is made. Throws TRACE_MISSING without a shell.
 */
export async function startGuard(root: string, names: ProbeNames): Promise<Guard> {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'tidemark-guard', root, names.instance, names.group], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(
        new TraceError('TRACE_MISSING', `uprobes: /bin/sh cannot be started to guard the probes: ${cause.message}`),
      ),
    );
  });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  return { pid: child.pid!, dismiss: () => void child.stdin.end('done\n') };
}

/** Removes an instance and a group of probes, whichever is there. Throws TraceError when the kernel keeps refusing. */
export async function removeLeftovers(root: string, instance: string | null, group: string | null): Promise<void> {
  let failure: unknown;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      if (instance !== null) await removeInstance(root, instance, group);
      if (group !== null) await removeProbes(root, group);
      return;
    } catch (cause) {
      failure = cause;
      await sleep(PAUSE_MS);
    }
  }
  throw new TraceError(
    'TRACE_IO',
    `uprobes: the kernel does not let go of the probes ${group ?? instance}: ${(failure as Error).message}`,
    { cause: failure },
  );
}

async function removeInstance(root: string, instance: string, group: string | null): Promise<void> {
  const path = `${root}/instances/${instance}`;
  if (!(await names(`${root}/instances`)).includes(instance)) return;
  await writeKernel(`${path}/tracing_on`, '0').catch(() => undefined);
  const groups = group !== null ? [group] : (await names(`${path}/events`)).filter((name) => ownerOf(name) !== null);
  for (const one of groups) await writeKernel(`${path}/events/${one}/enable`, '0').catch(() => undefined);
  await rmdir(path);
}

async function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/**
 * Removes the probes and instances whose collector is gone: killed together with its guard. Nothing else is touched.
 * Returns the names of what was removed.
 */
export async function sweepStaleProbes(root: string): Promise<string[]> {
  const { namespace } = thisOwner();
  const stale = (name: string): boolean => {
    const owner = ownerOf(name);
    return owner !== null && isGone(owner, namespace);
  };
  const events = await readKernel(`${root}/uprobe_events`);
  const groups = new Set([...events.matchAll(/^[pr]\d*:([^/\s]+)\//gm)].map((match) => match[1]!).filter(stale));
  const instances = (await names(`${root}/instances`)).filter(stale);
  const removed: string[] = [];
  for (const instance of instances) {
    await removeLeftovers(root, instance, null);
    removed.push(instance);
  }
  for (const group of groups) {
    await removeLeftovers(root, null, group);
    removed.push(group);
  }
  return removed;
}
