import type { NetworkInterface } from '@tidemark/contracts';
import { ByteScanner, utf8 } from './byte-scanner.js';
import { malformed } from './errors.js';

const SPACE = 32;
const COLON = 58;

/** The sixteen columns after the name, in the kernel's order. */
const COLUMNS = [
  'rxBytes',
  'rxPackets',
  'rxErrors',
  'rxDropped',
  'rxFifo',
  'rxFrame',
  'rxCompressed',
  'rxMulticast',
  'txBytes',
  'txPackets',
  'txErrors',
  'txDropped',
  'txFifo',
  'txCollisions',
  'txCarrier',
  'txCompressed',
] as const satisfies readonly (keyof NetworkInterface)[];

const scanner = new ByteScanner();
const values = new Float64Array(COLUMNS.length);

/**
 * `/proc/net/dev` (of the reader's network namespace): bytes, packets and events of each interface since it was made.
 *
 * An interface that comes or goes between two reads is simply there or not; its counters begin at 0, and on 32-bit
 * kernels they wrap at 2^32. Interfaces without the sixteen columns ("No statistics available") are left out.
 */
export function parseNetDev(bytes: Uint8Array, length: number = bytes.length): NetworkInterface[] {
  scanner.reset(bytes, length);
  if (!scanner.take('Inter-|')) malformed('net/dev', 'the header "Inter-|"', bytes, 0, length);
  scanner.nextLine();
  const interfaces: NetworkInterface[] = [];
  while (scanner.nextLine()) {
    const found = interfaceLine(bytes);
    if (found) interfaces.push(found);
  }
  return interfaces;
}

function interfaceLine(bytes: Uint8Array): NetworkInterface | undefined {
  scanner.skipBlanks();
  const from = scanner.at;
  // The last colon: names may have held one, the figures never do. The first figure may touch it.
  let colon = scanner.lineEnd() - 1;
  while (colon > from && bytes[colon] !== COLON) colon--;
  if (colon <= from) return undefined;
  scanner.at = colon + 1;
  for (let column = 0; column < values.length; column++) {
    const value = scanner.number();
    if (Number.isNaN(value)) return undefined;
    values[column] = value;
  }
  let to = colon;
  while (to > from && bytes[to - 1] === SPACE) to--;
  const found = { name: utf8(bytes, from, to) } as NetworkInterface;
  for (let column = 0; column < values.length; column++) found[COLUMNS[column]!] = values[column]!;
  return found;
}
