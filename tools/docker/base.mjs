// A base image where none can be pulled: Debian packages, and Node with npm as they are on this host.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { docker, imageLabel } from './docker.mjs';

export const BASE_IMAGE = 'tidemark-base:local';
/** Of Node, of the build of the preload library, and of Apache Kafka: one base for all, because it is made once. */
const PACKAGES = ['libstdc++6', 'ca-certificates', 'gcc', 'libc6-dev', 'make', 'openjdk-17-jre-headless'];
const LEFT_OUT = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/locale/*'];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Why no base image can be made here, in one line; undefined when one can. */
export function whyNoBase() {
  if (spawnSync('mmdebstrap', ['--version']).error) return 'no mmdebstrap here to make a base image with';
  if (process.getuid() !== 0) return 'only root can make a base image';
  return undefined;
}

/** Makes the base image when the engine does not have it yet. Throws Error with the last words of mmdebstrap. */
export async function makeBase(host, say) {
  const suite = /VERSION_CODENAME=(\S+)/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
  const recipe = readFileSync(new URL(import.meta.url), 'utf8');
  const madeOf = createHash('sha256').update(recipe).update(`${suite} ${process.version}`).digest('hex').slice(0, 16);
  if ((await imageLabel(host, BASE_IMAGE)) === madeOf) return say(`${BASE_IMAGE} is there`);
  const why = whyNoBase();
  if (why) throw new Error(why);
  say(`making ${BASE_IMAGE} of Debian packages (${suite})`);
  const work = mkdtempSync(join(tmpdir(), 'tidemark-base-'));
  try {
    const archive = join(work, 'base.tar');
    await mmdebstrap(suite, work, archive);
    const changes = [`ENV PATH=${PATH}`, 'CMD ["bash"]', `LABEL tidemark.made-of=${madeOf}`];
    await docker(host, ['import', ...changes.flatMap((change) => ['--change', change]), archive, BASE_IMAGE]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where the packages came from is not left in the image: it is nobody's business and may not be reached from there. */
function mmdebstrap(suite, work, archive) {
  const npm = join(realpathSync(npmRoot()), 'npm');
  const hook = join(work, 'customize');
  writeFileSync(
    hook,
    `#!/bin/sh
set -e
install -D '${process.execPath}' "$1/usr/local/bin/node"
mkdir -p "$1/usr/local/lib/node_modules"
cp -r '${npm}' "$1/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$1/usr/local/bin/npx"
rm -rf "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/auth.conf* "$1"/var/lib/apt/lists/*
rm -rf "$1"/var/cache/apt/*.bin "$1/etc/hostname" "$1/etc/resolv.conf"
`,
    { mode: 0o755 },
  );
  const args = [
    '--variant=minbase',
    `--include=${PACKAGES.join(',')}`,
    '--aptopt=Acquire::Languages "none"',
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
    // Java's package puts links there, whether or not pages are installed.
    '--essential-hook=mkdir -p "$1/usr/share/man/man1"',
    `--customize-hook=${hook}`,
    suite,
    archive,
  ];
  return new Promise((resolve, reject) => {
    const child = spawn('mmdebstrap', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr.on('data', (bytes) => (words = (words + bytes).slice(-4_000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve();
      reject(new Error(`mmdebstrap ended with ${code}:\n${words.trim().split('\n').slice(-8).join('\n')}`));
    });
  });
}

function npmRoot() {
  const { status, stdout } = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' });
  if (status !== 0) throw new Error('npm root --global failed: npm must be installed beside Node');
  return stdout.trim();
}
