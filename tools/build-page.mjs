// Bundles the web page into apps/web/dist/page, each file beside the same compressed. Quick when nothing changed:
// what it was made of is remembered by a digest.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'apps', 'web', 'src', 'page');
const built = join(root, 'apps', 'web', 'dist', 'page');
const mark = join(root, 'apps', 'web', 'dist', 'page.digest');
/** A smaller file is as quick to send as it is. */
const WORTH_COMPRESSING = 1024;

const made = digestOfSources();
if (!existsSync(join(built, 'index.html')) || !existsSync(mark) || readFileSync(mark, 'utf8') !== made) {
  const fresh = `${built}.${process.pid}`;
  try {
    await bundle(fresh);
    compress(fresh);
    rmSync(built, { recursive: true, force: true });
    renameSync(fresh, built);
    writeFileSync(mark, made);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function digestOfSources() {
  const hash = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url)));
  hash.update(readFileSync(join(root, 'package-lock.json')));
  for (const path of filesOf(source)) {
    if (path.includes('.test.')) continue;
    hash.update(`\0${relative(source, path)}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/** Read only when there is something to do: it takes longer to load than all the rest. */
async function bundle(directory) {
  const { build } = await import('vite');
  mkdirSync(dirname(directory), { recursive: true });
  await build({
    root: source,
    base: './',
    configFile: false,
    logLevel: 'warn',
    esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
    // Nothing is inlined: the page's content security policy runs and shows what comes as a file of its own.
    build: {
      outDir: directory,
      emptyOutDir: true,
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  });
}

function compress(directory) {
  for (const path of filesOf(directory)) {
    const bytes = readFileSync(path);
    if (bytes.length < WORTH_COMPRESSING) continue;
    const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
    writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: quality }));
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
}

function filesOf(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
