/** An error as ClickHouse names it: a number, a name and a sentence. What the engine throws is turned into one, too. */
export class EngineException extends Error {
  override readonly name = 'EngineException';
  constructor(
    readonly code: number,
    readonly label: string,
    message: string,
  ) {
    super(message);
  }

  /** The text ClickHouse sends for it. */
  toText(version: string): string {
    const sentence = this.message.endsWith('.') ? this.message : `${this.message}.`;
    return `Code: ${this.code}. DB::Exception: ${sentence} (${this.label}) (version ${version})`;
  }
}

const prefix = /^Code: (\d+)\. DB::Exception: /;
const label = /\s*\(([A-Z][A-Z0-9_]*)\)\s*$/;
const version = /\s*\(version [\d.]+[^)]*\)\.?\s*$/;

/** Reads the engine's text, which may be wrapped in itself ("Code: 36. DB::Exception: Code: 36. DB::Exception: …"). */
export function toException(error: unknown): EngineException {
  if (error instanceof EngineException) return error;
  let text = error instanceof Error ? error.message : String(error);
  let code = 1002;
  let name = 'UNKNOWN_EXCEPTION';
  for (let match = prefix.exec(text); match !== null; match = prefix.exec(text)) {
    code = Number(match[1]);
    text = text.slice(match[0].length).replace(version, '');
    const named = label.exec(text);
    if (named !== null) {
      name = named[1]!;
      text = text.slice(0, named.index);
    }
  }
  return new EngineException(code, name, text.replace(version, '').trim());
}

/** As in the server's own table; codes it does not list are 500. */
const codesByStatus: readonly (readonly [status: number, codes: readonly number[]])[] = [
  [400, [6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676]],
  [401, [194]],
  [403, [192, 193, 497, 512, 516]],
  [404, [46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511]],
  [408, [159]],
  [411, [381]],
  [413, [229]],
  [415, [779]],
  [501, [48]],
  // SOCKET_TIMEOUT, CANNOT_OPEN_FILE, CANNOT_SCHEDULE_TASK as there; TOO_MANY_SIMULTANEOUS_QUERIES so that clients retry.
  [503, [76, 202, 209, 439]],
];
const statusByCode = new Map(codesByStatus.flatMap(([status, codes]) => codes.map((code) => [code, status] as const)));

/** The HTTP status that goes with an exception code. */
export function httpStatus(code: number): number {
  return statusByCode.get(code) ?? 500;
}
