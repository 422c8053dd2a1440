// `npm run bench -- NAME…` runs benchmarks, each beside its reference measured in the same run.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const directory = join(dirname(fileURLToPath(import.meta.url)), 'bench');
const known = readdirSync(directory)
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -4));
const wanted = process.argv.slice(2);
const strangers = wanted.filter((name) => !known.includes(name));

if (wanted.length === 0 || strangers.length > 0) {
  for (const name of strangers) process.stderr.write(`bench: there is no benchmark ${JSON.stringify(name)}\n`);
  process.stderr.write(`bench: npm run bench -- NAME…, with NAME one of ${known.join(', ')}\n`);
  process.exit(1);
}
for (const name of wanted) {
  process.stdout.write(`# ${name}\n`);
  await import(join(directory, `${name}.mjs`));
}
