// Brings a fresh clone to where everything runs: installs packages when the lock file changed, compiles the
// preload library where there is a compiler, then builds what changed.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const mark = join(root, 'node_modules', '.tidemark-installed');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node ${process.versions.node} is too old: Tidemark needs 20.19 or newer.`);
}

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(process.versions.modules)
  .digest('hex');

if (!existsSync(mark) || readFileSync(mark, 'utf8') !== wanted) {
  step('Installing packages (npm ci, about a minute the first time)');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  mkdirSync(dirname(mark), { recursive: true });
  writeFileSync(mark, wanted);
}

const lacking = ['make', 'cc'].filter((command) => !isInstalled(command));
if (lacking.length > 0) {
  step(`Leaving out the allocation tracer: no ${lacking.join(', no ')} here (install gcc and make); the rest works`);
} else {
  step('Compiling the allocation tracer');
  run('make', ['-s', '-C', 'preload']);
}

step('Building');
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
run(process.execPath, [join(root, 'tools', 'build-page.mjs')]);

function isInstalled(command) {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
}

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  } catch (error) {
    fail(`${command} ${args.join(' ')} failed with ${error.status ?? error.code}; its own message stands above.`);
  }
}

function step(what) {
  process.stderr.write(`tidemark setup: ${what}\n`);
}

function fail(why) {
  process.stderr.write(`tidemark setup: ${why}\n`);
  process.exit(1);
}
