import { z } from 'zod';
import { shapeError } from './errors.js';

const number = z.number().nonnegative();
const name = z.string().min(1).max(4096);
const line = z.object({ avg10: number, avg60: number, avg300: number, total: number });
/** Every further field of a section must be a number: the sections' own types say which there are. */
const figures = z.object({}).catchall(number);
const named = z.object({ name }).catchall(number);

const schema = z.object({
  memory: z.object({ total: number, available: number, used: number, free: number }).catchall(number).optional(),
  load: z.object({ one: number, five: number, fifteen: number, running: number, total: number }).optional(),
  pressure: z.object({ some: line, full: line.optional() }).optional(),
  uptime: z.object({ up: number, idle: number }).optional(),
  cpus: z.array(named).max(65_536).optional(),
  counters: figures.optional(),
  interfaces: z.array(named).max(65_536).optional(),
  disks: z.array(named).max(65_536).optional(),
  cgroups: z
    .array(z.object({ path: name, usage: number }).catchall(number))
    .max(65_536)
    .optional(),
});

/** Throws ContractError that names the first field that is wrong. Unknown sections pass: a newer collector may send them. */
export function checkSystemSample(json: unknown): void {
  const result = schema.safeParse(json);
  if (result.success) return;
  const issue = result.error.issues[0];
  throw shapeError('sample chunk', issue && { path: ['system', ...issue.path], message: issue.message });
}
