// Runs a collector and prints what it sends, decoded, as lines of JSON: `{"samples":{…}}` and `{"node":{…}}`. Ends at the
// end of its standard input.
//
//   node tell-rounds.mjs SETTINGS     SETTINGS is JSON of collector settings
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const libs = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'libs');
const load = (path) => import(pathToFileURL(join(libs, path)).href);
const { decodeNodeRecord, decodeSampleChunk, Topic } = await load('contracts/dist/index.js');
const { startCollect } = await load('pipeline/dist/collect/index.js');

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const log = {
  append: async (records) => {
    for (const { topic, value, headers } of records) {
      if (topic === Topic.Samples) tell({ samples: decodeSampleChunk(value, headers) });
      if (topic === Topic.Nodes) tell({ node: decodeNodeRecord(value, headers) });
    }
  },
};
const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
const stage = startCollect({ log, config: { node: 'told', ...JSON.parse(process.argv[2]) }, logger });
await stage.ready;
process.stdin.resume();
await once(process.stdin, 'end');
await stage.drain(1000);
