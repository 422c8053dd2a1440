/** The name a host goes by in the whole system: its host name unless configured. Letters, digits, `.`, `_` and `-`. */
export type NodeId = string & { readonly __brand: 'NodeId' };

/**
 * Identity of one process for ever: `node/boot/pid/start`.
 *
 * Pids are reused and start ticks count from boot, so neither is enough alone; `boot` is the kernel's
 * `/proc/sys/kernel/random/boot_id` and `start` is field 22 of `/proc/[pid]/stat` (clock ticks since boot).
 */
export type ProcessKey = string & { readonly __brand: 'ProcessKey' };

const NODE_ID = /^[A-Za-z0-9._-]{1,253}$/;
const BOOT_ID = /^[A-Za-z0-9-]{1,64}$/;

export function isNodeId(text: string): text is NodeId {
  return NODE_ID.test(text);
}

export function isBootId(text: string): boolean {
  return BOOT_ID.test(text);
}

/** Throws RangeError that names the value when it cannot be a node id. */
export function toNodeId(text: string): NodeId {
  if (!isNodeId(text)) {
    throw new RangeError(
      `node id ${JSON.stringify(text.slice(0, 80))} must be 1 to 253 letters, digits, '.', '_' or '-'`,
    );
  }
  return text;
}

export function processKey(node: NodeId, boot: string, pid: number, start: number): ProcessKey {
  return `${node}/${boot}/${pid}/${start}` as ProcessKey;
}

export interface ProcessKeyParts {
  node: NodeId;
  boot: string;
  pid: number;
  start: number;
}

const PROCESS_KEY = /^([^/]+)\/([^/]+)\/(\d{1,10})\/(\d{1,16})$/;

/** The parts of a key, or undefined when the text is not one. */
export function parseProcessKey(text: string): ProcessKeyParts | undefined {
  const match = PROCESS_KEY.exec(text);
  if (!match) return undefined;
  const [, node = '', boot = '', pid, start] = match;
  if (!isNodeId(node) || !isBootId(boot)) return undefined;
  return { node, boot, pid: Number(pid), start: Number(start) };
}
