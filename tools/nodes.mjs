// `npm run nodes` runs many hosts on one, each a real collector in namespaces of its own, until it is asked to stop.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startHarness } from './nodes/harness.mjs';
import { whyNoNodes } from './nodes/namespaces.mjs';

const USAGE = `Usage: npm run nodes -- [options]

Runs real collectors on hosts of their own (network, pid and mount namespaces) against one broker, history, writer,
processor and API in another network namespace, until Ctrl-C. Needs root, Java 17 and gcc; nothing listens outside.

  --nodes N       hosts, 1 to 200 (default 20)
  --programs N    programs that hold memory on each host (default 2)
  --megabytes N   held by each of them (default 16)
`;

/** Collectors are started one after the other, so that a small machine is not busy with starting alone. */
const STAGGER_MS = 400;
const say = (line) => process.stdout.write(`${line}\n`);
const fail = (line, code) => {
  process.stderr.write(`nodes: ${line}\n`);
  process.exit(code);
};
const options = readOptions();
const why = whyNoNodes();
if (why !== undefined) fail(why, 1);

const directory = mkdtempSync(join(tmpdir(), 'tidemark-nodes-'));
let harness;
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void stop(signal));

try {
  harness = await startHarness({ ...options, directory, say });
  if (stopping) await finish();
  for (const host of harness.hosts) {
    if (stopping) break;
    host.startCollector();
    await new Promise((resolve) => setTimeout(resolve, STAGGER_MS));
  }
  if (!stopping) tell();
} catch (error) {
  rmSync(directory, { recursive: true, force: true });
  if (!stopping) fail(error.message, 1);
}

function tell() {
  const inside = `ip netns exec ${harness.namespace}`;
  say('');
  say(`  GraphQL   ${harness.apiUrl}   inside of the namespace ${harness.namespace}`);
  say(`  Try       ${inside} npx tidemark top`);
  say(`  Cut off   ip -n ${harness.namespace} link set node1 down`);
  say('');
  say('Stop with Ctrl-C.');
}

async function stop(signal) {
  if (stopping) return;
  stopping = true;
  say(`Stopping on ${signal}…`);
  if (harness) await finish();
}

async function finish() {
  await harness.stop();
  rmSync(directory, { recursive: true, force: true });
  process.exit(0);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        nodes: { type: 'string', default: '20' },
        programs: { type: 'string', default: '2' },
        megabytes: { type: 'string', default: '16' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      say(USAGE.trimEnd());
      process.exit(0);
    }
    return {
      nodes: whole('nodes', values.nodes, 200),
      programs: whole('programs', values.programs, 1_000),
      megabytes: whole('megabytes', values.megabytes, 10_000),
    };
  } catch (error) {
    fail(`${error.message.split('\n')[0]}; --help lists the options`, 2);
  }
}

function whole(name, text, most) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Error(`--${name} ${text}: must be a whole number from 1 to ${most}`);
  }
  return value;
}
