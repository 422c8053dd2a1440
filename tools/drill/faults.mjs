// Does to the parts what the plan says, and undoes it.
import { pause } from './system.mjs';

/**
 * Runs the plan; resolves when its last fault is healed. `say` gets one line for each thing that is done.
 *
 * @param {{ plan: ReturnType<typeof import('./plan.mjs').planFaults>, parts: Record<string, object>,
 *   links: ReturnType<typeof import('./links.mjs').createLinks>, say: (line: string) => void, signal: AbortSignal }} run
 */
export async function runFaults({ plan, parts, links, say, signal }) {
  const startedAt = Date.now();
  const seconds = () => (Date.now() - startedAt) / 1000;
  const told = (line) => say(`${seconds().toFixed(1).padStart(6)} s  ${line}`);
  // A part is not hurt again before it is back, which on a busy machine takes longer than planned; brokers count as one.
  const healed = new Map();
  const ends = await Promise.allSettled(
    plan.map((fault) => {
      const target = fault.part.replace(/^broker-.*/, 'broker');
      const end = play(fault, healed.get(target));
      healed.set(
        target,
        end.catch(() => {}),
      );
      return end;
    }),
  );
  // None is left behind: what another one undoes would start parts anew while everything is being stopped.
  const failed = ends.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;

  async function play(fault, before) {
    await pause(Math.max(0, fault.at * 1000 - (Date.now() - startedAt)));
    await before;
    if (signal.aborted) return;
    const what = `${fault.part} ${fault.how ? `${fault.kind} (${fault.how})` : fault.kind}`;
    told(`${what} for ${fault.seconds} s`);
    const undo = await inflict(fault, parts, links);
    const until = Date.now() + fault.seconds * 1000;
    while (Date.now() < until && !signal.aborted) await pause(Math.min(200, Math.max(1, until - Date.now())));
    if (signal.aborted && fault.kind === 'kill') return;
    await undo();
    told(`${fault.part} is back`);
  }
}

/** Gives what undoes it. */
async function inflict({ part: name, kind, how }, parts, links) {
  const part = parts[name];
  if (kind === 'kill') {
    await part.kill();
    return () => part.start();
  }
  if (kind === 'pause') {
    part.pause();
    return () => part.resume();
  }
  return links.cut((from, to) => from === name || to === name, how);
}
