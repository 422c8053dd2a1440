import { open } from 'node:fs/promises';
import type { EntryKind } from './entry-points.js';

const LOOK = 24;

/**
 * How far behind the start of a function its probe is to be set, bytes. The kernel emulates a push at the place of a probe
 * (arch/x86/kernel/uprobes.c, push_setup_xol_ops), but has most other instructions stepped by a second trap, which is
 * more than ten times dearer when many threads run into it. So what neither changes the arguments nor the stack before a
 * push is passed over: endbr64, and in a function that frees, the test for NULL, of which there is nothing to tell.
 * null when the start is of another shape.
 */
export function startOfProbe(code: Uint8Array, kind: EntryKind): number | null {
  let at = 0;
  if (begins(code, at, [0xf3, 0x0f, 0x1e, 0xfa])) at += 4;
  // test %rdi,%rdi; je, near or far
  if (kind === 'release' && begins(code, at, [0x48, 0x85, 0xff])) {
    if (code[at + 3] === 0x74) at += 5;
    else if (begins(code, at + 3, [0x0f, 0x84])) at += 9;
  }
  const push = code[at] === 0x41 ? code[at + 1] : code[at];
  return push !== undefined && push >= 0x50 && push <= 0x57 ? at : null;
}

function begins(code: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => code[at + index] === byte);
}

/** The first bytes of a function; none when they cannot be read: the probe is set at its start then. */
export async function codeAt(file: string, offset: number): Promise<Uint8Array> {
  const bytes = Buffer.alloc(LOOK);
  try {
    const handle = await open(file, 'r');
    try {
      const { bytesRead } = await handle.read(bytes, 0, LOOK, offset);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return bytes.subarray(0, 0);
  }
}
