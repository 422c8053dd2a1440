import { EventLogError } from '../errors.js';
import type { ResolvedKafkaOptions } from './options.js';

interface Caused {
  message: string;
  name?: string;
  code?: unknown;
  type?: unknown;
  cause?: unknown;
}

/** What is at the bottom of an error that was wrapped on its way. */
export function causeOf(error: unknown): Caused {
  let current = error as Caused;
  for (let depth = 0; depth < 8 && isError(current.cause); depth++) current = current.cause as Caused;
  return current;
}

/** The message at the bottom of an error, without what kafkajs puts before it, once or more often. */
export function reasonOf(error: unknown): string {
  return causeOf(error).message.replace(/^(Connection error: )+/, '');
}

function isError(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'message' in value;
}

/** Codes of Node's TLS for a certificate that cannot be relied on. */
const UNTRUSTED = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE',
];

/** EVENT_LOG_ACCESS in one line when the error says that asking again will not help; else undefined. */
export function accessError(
  error: unknown,
  broker: string,
  { tls, sasl }: Pick<ResolvedKafkaOptions, 'tls' | 'sasl'>,
): EventLogError | undefined {
  const cause = causeOf(error);
  const text = reasonOf(error);
  const code = String(cause.code ?? '');
  const refuse = (why: string): EventLogError =>
    new EventLogError('EVENT_LOG_ACCESS', `Kafka at ${broker} ${why}`, false, { cause: error });
  // kafkajs says the same of a connection that broke while the password was checked: that passes.
  const broken = /clos|timed out|timeout|connect|socket|ECONN|EPIPE|EHOST|ENET/i.test(text);
  if ((cause.name === 'KafkaJSSASLAuthenticationError' && !broken) || cause.type === 'SASL_AUTHENTICATION_FAILED') {
    return refuse(
      `refuses user ${sasl?.username} by ${sasl?.mechanism}: check kafka.username, the password and kafka.mechanism`,
    );
  }
  if (cause.type === 'UNSUPPORTED_SASL_MECHANISM') {
    return refuse(`does not know kafka.mechanism ${sasl?.mechanism}: name one that it has`);
  }
  if (cause.type === 'ILLEGAL_SASL_STATE') {
    return refuse('asks for no password on this port: set kafka.mechanism to none, or connect to another port');
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return refuse(`has a certificate for another name (${text}): set kafka.serverName to its name`);
  }
  if (UNTRUSTED.includes(code)) {
    return refuse(`has a certificate that is not trusted (${text}): name its authority in kafka.caFile`);
  }
  if (tls && (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO')) {
    return refuse(`does not speak TLS on this port (${code}): set kafka.tls to false, or connect to another port`);
  }
  return undefined;
}

const QUIET_MS = 60_000;

/** Tells of something that went wrong and is dealt with. Lines about the same thing have the same key. */
export type Warn = (line: string, about?: string) => void;

/** Passes lines on, about each thing at most once a minute: an outage is one line and not a flood. */
export function quietly(onWarning: (line: string) => void): Warn {
  const told = new Map<string, number>();
  return (line, about = line) => {
    const now = performance.now();
    const before = told.get(about);
    if (before !== undefined && now - before < QUIET_MS) return;
    if (told.size > 200) told.clear();
    told.set(about, now);
    onWarning(line);
  };
}

/** A broker that does not answer was told of where it happened; whoever asked it has nothing to add. */
export function warnUnlessAway(warn: Warn, error: unknown, line: string, about: string): void {
  if (error instanceof EventLogError && error.code === 'EVENT_LOG_UNAVAILABLE') return;
  warn(`${line}: ${reasonOf(error)}`, about);
}
