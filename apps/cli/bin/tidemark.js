#!/usr/bin/env node
// Committed, so that npm can link it before the first build.
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);

if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write('tidemark: not built yet: run "npm run setup" in the repository first\n');
  process.exitCode = 1;
}
