import { mkdir, writeFile } from 'node:fs/promises';
import { TraceError } from '../errors.js';
import type { ProbePlace } from './allocator.js';
import { errnoOf, readKernel, refusal, writeKernel } from './kernel-file.js';
import { keepText } from './kept-text.js';
import { removeLeftovers, startGuard } from './leftovers.js';
import { defineProbes, probeDefinitions, parseHits, readProbeFormats, type ProbeEvent } from './probe-group.js';
import type { ProbeFormats } from './probe-group.js';
import { namesFor, thisOwner } from './probe-names.js';
import { parsePageLayout } from './ring-page.js';
import { threadsOf } from './thread-owners.js';
import { openTracePipes, type TracePipes } from './trace-pipes.js';
import type { Hits } from './window-plan.js';

/** The kernel's side of one trace: its own group of probes and its own instance of the tracer. */
export interface ProbeSession {
  readonly formats: ProbeFormats;
  readonly pipes: TracePipes;
  /** Switches an event on or off. Off takes the kernel some 25 ms. */
  enable(event: ProbeEvent, on: boolean): Promise<void>;
  /** Lets events into the buffers or keeps them out, at once. The probes still cost. */
  record(on: boolean): Promise<void>;
  hits(): Hits;
  /** Removes everything. Safe to call again. */
  close(): Promise<void>;
}

export interface ProbeSessionOptions {
  root: string;
  pid: number;
  places: readonly ProbePlace[];
  stackWords: number;
  /** Of the kernel's buffers of all CPUs together, KiB. */
  bufferKiB: number;
}

/** Defines the probes, all off. Throws TraceError and leaves nothing. */
export async function openProbeSession(options: ProbeSessionOptions): Promise<ProbeSession> {
  const { root, pid, places, stackWords } = options;
  const names = namesFor(thisOwner(), pid);
  const instance = `${root}/instances/${names.instance}`;
  const profile = keepText(`${root}/uprobe_profile`);
  const guard = await startGuard(root, names).catch((cause) => {
    profile.close();
    throw cause;
  });
  let pipes: TracePipes | null = null;
  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    pipes?.close();
    profile.close();
    await removeLeftovers(root, names.instance, names.group);
    guard.dismiss();
  };
  try {
    await mkdir(instance).catch((cause) => {
      throw refusal(`uprobes: ${instance}`, cause);
    });
    await defineProbes(root, probeDefinitions(names, places, stackWords));
    const formats = await readProbeFormats(root, names, stackWords);
    await prepareInstance(instance, pid, options.bufferKiB);
    const layout = parsePageLayout(await readKernel(`${root}/events/header_page`));
    pipes = await openTracePipes(instance, layout, formats);
    const switches = `${instance}/events/${names.group}`;
    return {
      formats,
      pipes,
      enable: (event, on) => writeKernel(`${switches}/${names.events[event]}/enable`, on ? '1' : '0'),
      record: (on) => writeKernel(`${instance}/tracing_on`, on ? '1' : '0'),
      hits: () => parseHits(profile.read(), names),
      close: () => (closed ??= close()),
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function prepareInstance(instance: string, pid: number, bufferKiB: number): Promise<void> {
  const online = (await readKernel('/sys/devices/system/cpu/online')).trim();
  const each = Math.max(256, Math.floor(bufferKiB / countCpus(online)));
  await writeKernel(`${instance}/tracing_on`, '0');
  await writeKernel(`${instance}/buffer_size_kb`, String(each));
  // What is in the buffer stays: so much is seen without a gap, and the rest is counted.
  await writeKernel(`${instance}/options/overwrite`, '0');
  // The clock of clock_gettime(CLOCK_MONOTONIC), which is process.hrtime.
  await writeKernel(`${instance}/trace_clock`, 'mono');
  await writeKernel(`${instance}/options/event-fork`, '1');
  await followThreads(instance, pid);
}

/** "0-3,5" */
function countCpus(list: string): number {
  const ranges = list.split(',').map((range) => range.split('-').map(Number));
  return Math.max(
    1,
    ranges.reduce((sum, [first, last]) => sum + ((last ?? first ?? 0) - (first ?? 0) + 1), 0),
  );
}

/** Adds threads until none is new: those begun after that follow from their makers. */
async function followThreads(instance: string, pid: number): Promise<void> {
  const followed = new Set<number>();
  for (let round = 0; round < 20; round++) {
    const added = threadsOf(pid).filter((thread) => !followed.has(thread));
    if (added.length === 0 && round > 0) return;
    for (const thread of added) {
      followed.add(thread);
      await writeFile(`${instance}/set_event_pid`, `${thread}\n`, { flag: 'a' }).catch((cause) => {
        // A thread that ended meanwhile is no error.
        if (errnoOf(cause) !== 'ESRCH') throw refusal(`${instance}/set_event_pid`, cause);
      });
    }
    if (followed.size === 0) throw new TraceError('TRACE_GONE', `uprobes: process ${pid} is gone`);
  }
}
