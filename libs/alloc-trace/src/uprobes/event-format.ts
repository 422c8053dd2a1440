import { TraceError } from '../errors.js';

export interface EventField {
  offset: number;
  size: number;
}

/** An event as its `format` file describes it (Documentation/trace/events.rst, 2.2). */
export interface EventFormat {
  id: number;
  fields: ReadonlyMap<string, EventField>;
}

const MAX_EVENT = 65_536;

/** Throws TRACE_FORMAT without an id. Fields that lie beyond every event are left out. */
export function parseEventFormat(text: string): EventFormat {
  const id = Number(/^ID:\s*(\d+)\s*$/m.exec(text)?.[1]);
  if (!Number.isInteger(id)) throw new TraceError('TRACE_FORMAT', 'uprobes: a format file gives its event no ID');
  const fields = new Map<string, EventField>();
  for (const [, name, offset, size] of text.matchAll(
    /^\s*field:[^;]*?([A-Za-z_]\w*)(?:\[\d*\])?;\s*offset:(\d+);\s*size:(\d+);/gm,
  )) {
    const field = { offset: Number(offset), size: Number(size) };
    if (field.offset + field.size <= MAX_EVENT) fields.set(name!, field);
  }
  return { id, fields };
}

/** The field, or TRACE_FORMAT: nothing can be read without it. */
export function requireField(format: EventFormat, name: string, size: number): number {
  const field = format.fields.get(name);
  if (field !== undefined && field.size >= size) return field.offset;
  throw new TraceError('TRACE_FORMAT', `uprobes: event ${format.id} has no field "${name}" of ${size} bytes`);
}
