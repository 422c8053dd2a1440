// The docker command: one that builds with BuildKit, spoken to the engine that was found.
import { spawn, spawnSync } from 'node:child_process';

/**
 * Environment in which docker, Compose and testcontainers speak to that engine.
 *
 * @param {string} host as `findEngine` gives it
 */
export function engineEnvironment(host) {
  return { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '1', COMPOSE_DOCKER_CLI_BUILD: '1' };
}

/**
 * Path of a docker command that can build with BuildKit: before release 23 it is built in, later it is the buildx
 * plugin. Throws Error that says what to install.
 */
export function dockerCommand() {
  const tried = [];
  for (const command of new Set(['docker', '/usr/bin/docker', '/usr/local/bin/docker'])) {
    const { stdout, error } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (error) continue;
    const release = Number(/version (\d+)/.exec(stdout)?.[1] ?? 0);
    if (release < 23 || spawnSync(command, ['buildx', 'version'], { stdio: 'ignore' }).status === 0) return command;
    tried.push(`${command} ${release} has no buildx`);
  }
  throw new Error(`no docker command that builds with BuildKit (${tried.join(', ') || 'none is installed'})`);
}

/**
 * Runs a docker command to its end. Its output is kept back, and told when it fails.
 *
 * @param {string} host
 * @param {readonly string[]} args
 * @returns {Promise<string>} standard output
 */
export function docker(host, args, { command = 'docker', cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: engineEnvironment(host), cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const out = [];
    const all = [];
    child.stdout.on('data', (bytes) => {
      out.push(bytes);
      all.push(bytes);
    });
    child.stderr.on('data', (bytes) => all.push(bytes));
    child.once('error', (error) => reject(new Error(`${command} cannot be run: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) return resolve(Buffer.concat(out).toString('utf8').trim());
      const words = Buffer.concat(all).toString('utf8').trim().split('\n').slice(-25).join('\n');
      reject(new Error(`${command} ${args.slice(0, 2).join(' ')} ended with ${code}:\n${words}`));
    });
  });
}

/** Whether the engine has an image of that name, and what its label `tidemark.made-of` says. */
export async function imageLabel(host, name) {
  try {
    return await docker(host, ['image', 'inspect', '--format', '{{index .Config.Labels "tidemark.made-of"}}', name]);
  } catch {
    return undefined;
  }
}
