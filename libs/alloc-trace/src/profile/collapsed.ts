import { frameName } from './frame-name.js';
import { measured, type ProfileMeasure, type TraceProfile } from './trace-profile.js';

/**
 * One line for each distinct stack, outermost first: `program;main;work 4096`, the format that flamegraph.pl, speedscope
 * and inferno read. Bytes are rounded; stacks without any are left out. Lines are sorted.
 */
export function collapsedStacks(profile: TraceProfile, measure: ProfileMeasure = 'LIVE'): string {
  const lines = new Map<string, number>();
  for (const site of profile.sites) {
    const frames = site.stack.frames.map((frame) => part(frameName(frame))).reverse();
    if (site.stack.truncated) frames.unshift('[cut off]');
    const stack = [part(profile.process.program), ...frames].join(';');
    lines.set(stack, (lines.get(stack) ?? 0) + measured(site, measure).bytes);
  }
  return [...lines]
    .map(([stack, bytes]) => ({ stack, bytes: Math.round(bytes) }))
    .filter(({ bytes }) => bytes > 0)
    .map(({ stack, bytes }) => `${stack} ${bytes}\n`)
    .sort()
    .join('');
}

/** `;` parts frames and the end of a line ends the stack. */
function part(name: string): string {
  // Control characters would break the line.
  return name.replaceAll(';', ':').replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ') || '?';
}
