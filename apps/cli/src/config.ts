import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the API listens unless told otherwise. */
export const DEFAULT_URL = 'http://127.0.0.1:4000/graphql';

/** What the command takes from the environment; options of the command line win. */
export interface CliEnvironment {
  url: string | undefined;
  token: string | undefined;
  /** NO_COLOR is set to something, or the terminal is dumb. */
  plain: boolean;
  /** Where the standalone keeps its data unless told otherwise. */
  dataDirectory: string;
  /** Directories of programs. */
  path: string;
  /** All of it, for a program that is started. */
  whole: Readonly<Record<string, string | undefined>>;
}

/** The only reader of the environment. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): CliEnvironment {
  return {
    url: env['TIDEMARK_URL'] || undefined,
    token: env['TIDEMARK_TOKEN'] || undefined,
    dataDirectory:
      env['TIDEMARK_DATA_DIRECTORY'] || join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'tidemark'),
    path: env['PATH'] ?? '',
    whole: env,
    plain: Boolean(env['NO_COLOR']) || env['TERM'] === 'dumb',
  };
}
