// Compose, whichever of its generations is installed: the plugin `docker compose`, or Debian's `docker-compose`.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** TIDEMARK_COMPOSE names a command of another place. */
const CANDIDATES = [
  ...(process.env.TIDEMARK_COMPOSE ? [[process.env.TIDEMARK_COMPOSE]] : []),
  ['docker', 'compose'],
  ['docker-compose'],
];

/** Words that Compose is called with; undefined when it is not installed. */
export function composeCommand() {
  return CANDIDATES.find(([command, ...words]) => spawnSync(command, [...words, 'version']).status === 0);
}

export function whyNoCompose() {
  return composeCommand() ? undefined : 'no docker compose here (Debian: docker-compose)';
}

/**
 * Runs Compose on docker-compose.yml.
 *
 * @param {readonly string[]} args
 * @param {Record<string, string | undefined>} env all that it is to know: nothing of the caller's is added
 * @returns {{ status: number | null, stdout: string, stderr: string }}
 */
export function compose(args, env) {
  const found = composeCommand();
  if (!found) throw new Error(whyNoCompose());
  const [command, ...words] = found;
  const options = { cwd: root, env, encoding: 'utf8', maxBuffer: 2 ** 26 };
  return spawnSync(command, [...words, ...args], options);
}

/** The file as Compose understands it, with every variable put in. Throws Error with its words when it is refused. */
export function composeConfig(env) {
  const second = compose(['config', '--format', 'json'], env);
  if (second.stdout.startsWith('{')) return JSON.parse(second.stdout);
  // The first generation explains itself instead. It prints YAML alone, and is a Python program: its reader is there.
  const { status, stdout, stderr } = compose(['config'], env);
  if (status !== 0) throw new Error(stderr.trim() || stdout.trim());
  const program = 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)';
  const read = spawnSync('python3', ['-c', program], { input: stdout, encoding: 'utf8' });
  if (read.status !== 0) throw new Error(`the output of docker-compose config cannot be read: ${read.stderr.trim()}`);
  return JSON.parse(read.stdout);
}
