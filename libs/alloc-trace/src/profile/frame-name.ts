import type { StackFrame } from '@tidemark/contracts';

/** Longer names are cut: some templates fill pages. */
const MAX_NAME = 1024;

/** What a frame is called: its function, else where in which object it lies, else its address. */
export function frameName({ function: name, module, offset }: StackFrame): string {
  if (name !== null && name !== '') return name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name;
  const address = `0x${Math.max(0, offset).toString(16)}`;
  return module === null ? address : `${baseName(module)}+${address}`;
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1) || path;
}

/** `file:line`, `file`, or an empty string. */
export function framePlace({ file, line }: Pick<StackFrame, 'file' | 'line'>): string {
  if (file === null) return '';
  return line === null ? file : `${file}:${line}`;
}
