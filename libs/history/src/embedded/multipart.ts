import { EngineException } from './exception.js';

/**
 * Reads the fields of a multipart/form-data body (RFC 7578), in order.
 *
 * @throws EngineException for a body without end, and for files, which would be external tables.
 */
export function readForm(contentType: string, body: Buffer): [name: string, value: string][] {
  const match = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType);
  if (match === null) throw new EngineException(36, 'BAD_ARGUMENTS', 'The multipart request names no boundary');
  const boundary = `--${match[1] ?? match[2]}`;
  const fields: [string, string][] = [];
  let at = body.indexOf(boundary);
  while (at >= 0) {
    const start = at + boundary.length;
    if (body.toString('latin1', start, start + 2) === '--') return fields;
    const next = body.indexOf(`\r\n${boundary}`, start);
    if (next < 0) break;
    fields.push(readPart(body.subarray(start + 2, next)));
    at = next + 2;
  }
  throw new EngineException(36, 'BAD_ARGUMENTS', 'The multipart request has no end');
}

function readPart(part: Buffer): [string, string] {
  const blank = part.indexOf('\r\n\r\n');
  const headers = part.toString('utf8', 0, blank < 0 ? part.length : blank);
  const name = /^content-disposition:.*?;\s*name="([^"]*)"/im.exec(headers)?.[1];
  if (name === undefined || blank < 0)
    throw new EngineException(36, 'BAD_ARGUMENTS', 'A part of the multipart request has no name');
  if (/^content-disposition:.*?;\s*filename=/im.test(headers)) {
    throw new EngineException(48, 'NOT_IMPLEMENTED', `External tables are not supported (part '${name}' is a file)`);
  }
  return [name, part.toString('utf8', blank + 4)];
}
