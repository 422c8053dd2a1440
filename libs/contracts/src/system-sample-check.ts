import { z } from 'zod';
import { shapeError } from './errors.js';
import { isFigure, isObject, isText, type Fields } from './plain-checks.js';

const MAX_DEVICES = 65_536;

const number = z.number().nonnegative();
const name = z.string().min(1).max(4096);
const line = z.object({ avg10: number, avg60: number, avg300: number, total: number });
/** Every further field of a section must be a number: the sections' own types say which there are. */
const figures = z.object({}).catchall(number);
const named = z.object({ name }).catchall(number);

export const systemSchema = z.object({
  memory: z.object({ total: number, available: number, used: number, free: number }).catchall(number).optional(),
  load: z.object({ one: number, five: number, fifteen: number, running: number, total: number }).optional(),
  pressure: z.object({ some: line, full: line.optional() }).optional(),
  uptime: z.object({ up: number, idle: number }).optional(),
  cpus: z.array(named).max(MAX_DEVICES).optional(),
  counters: figures.optional(),
  interfaces: z.array(named).max(MAX_DEVICES).optional(),
  disks: z.array(named).max(MAX_DEVICES).optional(),
  cgroups: z
    .array(z.object({ path: name, usage: number }).catchall(number))
    .max(MAX_DEVICES)
    .optional(),
});

/** Throws ContractError that names the first field that is wrong. Unknown sections pass: a newer collector may send them. */
export function checkSystemSample(json: unknown): void {
  // The schema says what is right; asking it of every chunk would take a third of a small chunk's decoding.
  if (isObject(json) && isPlainSystemSample(json)) return;
  const result = systemSchema.safeParse(json);
  if (result.success) return;
  const issue = result.error.issues[0];
  throw shapeError('sample chunk', issue && { path: ['system', ...issue.path], message: issue.message });
}

/** True only for what the schema takes too; false does not mean that it is wrong. */
export function isPlainSystemSample(system: Fields): boolean {
  const { memory, load, pressure, uptime, counters } = system;
  return (
    (memory === undefined || (hasFigures(memory, MEMORY) && isFigures(memory))) &&
    (load === undefined || hasFigures(load, LOAD)) &&
    (pressure === undefined || isPressure(pressure)) &&
    (uptime === undefined || hasFigures(uptime, UPTIME)) &&
    (counters === undefined || (isObject(counters) && isFigures(counters))) &&
    isDevices(system['cpus'], 'name') &&
    isDevices(system['interfaces'], 'name') &&
    isDevices(system['disks'], 'name') &&
    isDevices(system['cgroups'], 'path', CGROUP)
  );
}

const MEMORY = ['total', 'available', 'used', 'free'];
const LOAD = ['one', 'five', 'fifteen', 'running', 'total'];
const UPTIME = ['up', 'idle'];
const PRESSURE = ['avg10', 'avg60', 'avg300', 'total'];
const CGROUP = ['usage'];

function hasFigures(value: unknown, names: readonly string[]): value is Fields {
  return isObject(value) && names.every((name) => isFigure(value[name]));
}

function isFigures(fields: Fields, except?: string): boolean {
  for (const name in fields) if (name !== except && !isFigure(fields[name])) return false;
  return true;
}

function isPressure(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { some, full } = value;
  return hasFigures(some, PRESSURE) && (full === undefined || hasFigures(full, PRESSURE));
}

function isDevices(list: unknown, label: string, figures: readonly string[] = []): boolean {
  if (list === undefined) return true;
  if (!Array.isArray(list) || list.length > MAX_DEVICES) return false;
  return list.every((device: unknown) => {
    if (!hasFigures(device, figures)) return false;
    return isText(device[label], 4096, 1) && isFigures(device, label);
  });
}
