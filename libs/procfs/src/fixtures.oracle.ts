import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { KernelUnits } from './kernel-units.js';

/** Every kernel whose formats are in testdata. */
export const KERNELS = ['2.4', '2.6', '5.10', '6.18'] as const;
export type Kernel = (typeof KERNELS)[number];

export const UNITS: KernelUnits = { pageSize: 4096, clockTicks: 100, source: 'auxv' };

export function fixtureRoot(kernel: Kernel): string {
  return fileURLToPath(new URL(`../testdata/${kernel}/proc`, import.meta.url));
}

export function fixtureSys(kernel: Kernel): string {
  return fileURLToPath(new URL(`../testdata/${kernel}/sys`, import.meta.url));
}

export function fixture(kernel: Kernel, path: string): Buffer {
  return readFileSync(`${fixtureRoot(kernel)}/${path}`);
}
