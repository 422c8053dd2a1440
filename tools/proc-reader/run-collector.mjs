// A collector with a log that throws everything away: for measuring what it costs, and for counting its system calls.
//
//   node run-collector.mjs [SETTINGS]     SETTINGS is JSON of collector settings
//
// Prints `ready` after the first round, then its statistics as a line of JSON for each line on its standard input; ends at
// the end of that, with the statistics once more.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const collect = join(root, 'libs', 'pipeline', 'dist', 'collect', 'index.js');
const { startCollect } = await import(pathToFileURL(collect).href);

const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
const log = { append: async () => {} };
const settings = JSON.parse(process.argv[2] ?? '{}');
const stage = startCollect({ log, config: { node: 'bench', ...settings }, logger });
await stage.ready;
process.stdout.write('ready\n');
const tell = () => process.stdout.write(`${JSON.stringify({ ...stage.stats(), limitations: stage.limitations() })}\n`);
const lines = createInterface({ input: process.stdin });
lines.on('line', tell);
await once(lines, 'close');
tell();
await stage.drain(1000);
