import { basename } from 'node:path';
import type { StackFrame } from '@tidemark/contracts';

/** `load_row (table.c:41)`, `libfoo.so+0x11a4`, `0x7f00dead`: as much as is known, in one line. */
export function frameText({ function: name, file, line, module, offset }: StackFrame): string {
  const at = `0x${offset.toString(16)}`;
  const place = file === null ? null : line === null ? basename(file) : `${basename(file)}:${line}`;
  if (name !== null) return place === null ? `${name} in ${objectName(module)}` : `${name} (${place})`;
  return module === null ? at : `${objectName(module)}+${at}`;
}

function objectName(module: string | null): string {
  return module === null ? 'generated code' : basename(module);
}
