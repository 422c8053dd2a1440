import { createContext, Script } from 'node:vm';
import { CollectError } from './errors.js';

/** What a secret is replaced by. */
export const REDACTED = '***';

/** Words that make the value after them a secret: part of an option's, a variable's or a JSON field's name. */
const SECRET_NAME =
  'passwords?|passwd|passphrase|pwd|secrets?|tokens?|api[-_]?keys?|access[-_]?keys?|private[-_]?keys?|credentials?';

/**
 * `name=value`, `name: value` and `"name": "value"` anywhere in an argument, so that what a shell is given with `-c`
 * is covered too. Every repetition is bounded or is followed by what it cannot match: linear on any input.
 */
const ASSIGNMENT = new RegExp(
  `((?:${SECRET_NAME})[A-Za-z0-9_.-]{0,40}["']?\\s{0,3}[=:]\\s{0,3})("[^"]{0,4000}"?|'[^']{0,4000}'?|[^\\s,;&"']{1,4000})`,
  'gi',
);
/** `--password value` inside one argument. */
const OPTION_AND_VALUE = new RegExp(
  `((?:^|\\s)--?[A-Za-z0-9_.-]{0,40}(?:${SECRET_NAME})[A-Za-z0-9_.-]{0,40}\\s{1,3})(?!-)("[^"]{0,4000}"?|'[^']{0,4000}'?|\\S{1,4000})`,
  'gi',
);
/** `--password`, alone in its argument: the next argument is the secret. */
const LONE_OPTION = new RegExp(`^--?[A-Za-z0-9_.-]{0,40}(?:${SECRET_NAME})[A-Za-z0-9_.-]{0,40}$`, 'i');
/** `scheme://user:secret@host` and `scheme://secret@host`. */
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]{1,20}:\/\/(?:[^\s/:@'"]{0,200}:)?)[^\s/@'"]{1,1000}@/gi;
const AUTHORIZATION =
  /(authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:(?:bearer|basic|digest|token)\s{1,3})?)[^\s"']{1,4000}/gi;
const BEARER = /\b((?:bearer|basic)\s{1,3})[A-Za-z0-9+/_.~=-]{8,4000}/gi;
/** Shapes of well-known keys: AWS, GitHub, GitLab, Slack, Google, OpenAI-like, JSON Web Tokens. */
const KNOWN_SHAPES =
  /\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_-]{20,64}|xox[abprs]-[A-Za-z0-9-]{10,255}|AIza[A-Za-z0-9_-]{35}|sk-[A-Za-z0-9_-]{20,255}|eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{0,4000})/g;

/** Programs with an option of one letter for a secret: in the same argument (`-pX`) or in the next one (`-p X`). */
const SHORT_OPTIONS: Readonly<Record<string, { attached?: string; next?: string }>> = {
  mysql: { attached: '-p' },
  mysqldump: { attached: '-p' },
  mysqladmin: { attached: '-p' },
  mariadb: { attached: '-p' },
  'mariadb-dump': { attached: '-p' },
  sshpass: { attached: '-p', next: '-p' },
  'redis-cli': { next: '-a' },
  curl: { attached: '-u', next: '-u' },
};

/** Time that the configured expressions may take on one command line, milliseconds. */
const CUSTOM_BUDGET_MS = 20;

export interface Redactor {
  /** The arguments joined by blanks, with what looks like a secret blanked; whole lines when a pattern takes too long. */
  redact(args: readonly string[]): string;
  /** Command lines that were blanked whole, because a configured expression passed its time. */
  readonly timeouts: number;
}

/** Throws CollectError COLLECT_CONFIG when an expression is not one. */
export function createRedactor(expressions: readonly string[]): Redactor {
  const custom = expressions.length > 0 ? createCustomRedactor(expressions) : undefined;
  let timeouts = 0;
  return {
    redact(args) {
      const line = redactKnown(args);
      if (!custom) return line;
      const result = custom(line);
      if (result === undefined) timeouts++;
      return result ?? REDACTED;
    },
    get timeouts() {
      return timeouts;
    },
  };
}

function redactKnown(args: readonly string[]): string {
  const { attached, next } = shortOptions(args[0]);
  const out: string[] = [];
  let secretNext = false;
  for (const arg of args) {
    if (secretNext && !arg.startsWith('-')) out.push(REDACTED);
    else if (attached !== undefined && arg.startsWith(attached) && arg !== attached) out.push(attached + REDACTED);
    else out.push(redactArgument(arg));
    secretNext = arg === next || LONE_OPTION.test(arg);
  }
  return out.join(' ');
}

function shortOptions(program = ''): { attached?: string; next?: string } {
  const name = program.slice(program.lastIndexOf('/') + 1);
  return Object.hasOwn(SHORT_OPTIONS, name) ? SHORT_OPTIONS[name]! : {};
}

function redactArgument(arg: string): string {
  return arg
    .replace(URL_CREDENTIALS, `$1${REDACTED}@`)
    .replace(AUTHORIZATION, `$1${REDACTED}`)
    .replace(BEARER, `$1${REDACTED}`)
    .replace(ASSIGNMENT, `$1${REDACTED}`)
    .replace(OPTION_AND_VALUE, `$1${REDACTED}`)
    .replace(KNOWN_SHAPES, REDACTED);
}

/**
 * The operator's own expressions can be of any cost, so they run where a watchdog can stop them (V8 interrupts a regular
 * expression that runs). Gives undefined when it had to.
 */
function createCustomRedactor(expressions: readonly string[]): (line: string) => string | undefined {
  const patterns = expressions.map((source) => {
    try {
      return new RegExp(source, 'g');
    } catch (error) {
      throw new CollectError(
        'COLLECT_CONFIG',
        `collect.redact: ${JSON.stringify(source)} is not a regular expression: ${(error as Error).message}`,
        { cause: error },
      );
    }
  });
  const state = { line: '', patterns, redacted: REDACTED };
  const context = createContext(state);
  const script = new Script('patterns.reduce((text, pattern) => text.replace(pattern, redacted), line)');
  return (line) => {
    state.line = line;
    try {
      return String(script.runInContext(context, { timeout: CUSTOM_BUDGET_MS }));
    } catch {
      return undefined;
    }
  };
}
