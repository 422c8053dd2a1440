// Runs the integration tests of the official JavaScript client against the embedded ClickHouse server:
//   node tools/clickhouse-js-suite.mjs PATH
// PATH is a clone of github.com/ClickHouse/clickhouse-js, bare or not; its HEAD is tested. Everything is installed and
// run in a temporary directory. What may fail, and why, stands in clickhouse-js-suite.skips.json; anything else that
// fails, and anything there that passes, makes the exit code 1.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The suite has it written in. */
const port = 8123;
const here = dirname(fileURLToPath(import.meta.url));

const [source] = process.argv.slice(2);
if (source === undefined) {
  console.error('usage: node tools/clickhouse-js-suite.mjs PATH-TO-CLICKHOUSE-JS');
  process.exit(2);
}

const { startEmbeddedServer } = await import('../libs/history/dist/embedded/index.js');
const skips = JSON.parse(readFileSync(join(here, 'clickhouse-js-suite.skips.json'), 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'tidemark-clickhouse-js-'));
let server = null;
try {
  const commit = execFileSync('git', ['-C', source, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  const suite = install(source, work);
  const { version } = JSON.parse(readFileSync(join(suite, 'packages', 'client-node', 'package.json'), 'utf8'));
  server = await startEmbeddedServer({
    directory: join(work, 'data'),
    port,
    // The suite logs in so; nobody else can reach the port of a run that lasts a minute.
    users: { admin: { username: 'default', password: '' } },
    logger: { info() {}, warn: (_, line) => console.error(line), error: (_, line) => console.error(line) },
  });
  console.log(`@clickhouse/client ${version}, commit ${commit}, Node ${process.versions.node}`);
  process.exitCode = report(run(suite, join(work, 'result.json')));
} finally {
  await server?.stop();
  rmSync(work, { recursive: true, force: true });
}

function install(from, to) {
  const suite = join(to, 'suite');
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', from, suite], { stdio: 'inherit' });
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: suite,
    stdio: 'inherit',
  });
  // The one script of its own that its tests need.
  execFileSync('npm', ['pkg', 'delete', 'type'], { cwd: join(suite, 'node_modules', 'parquet-wasm'), stdio: 'ignore' });
  return suite;
}

function run(suite, output) {
  const vitest = join(suite, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--maxWorkers=2', '--reporter=json', `--outputFile=${output}`];
  const env = { ...process.env, TEST_MODE: 'integration' };
  spawnSync(process.execPath, args, { cwd: join(suite, 'packages', 'client-node'), env, stdio: 'ignore' });
  return JSON.parse(readFileSync(output, 'utf8'));
}

/** Prints what came out; 0 when it is what the list of skips says. */
function report({ testResults }) {
  const tests = testResults.flatMap((file) => {
    // A file that could not be set up has no failed test: then all it skipped failed.
    const broken = file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed');
    const name = basename(file.name);
    if (broken && file.assertionResults.length === 0)
      return [{ file: name, test: '(the whole file)', outcome: 'failed', why: file.message }];
    return file.assertionResults.map(({ fullName, status, failureMessages }) => ({
      file: name,
      test: fullName,
      outcome: status === 'passed' ? 'passed' : status === 'failed' || broken ? 'failed' : 'left out',
      why: failureMessages[0] ?? '',
    }));
  });
  const listed = ({ file, test }) =>
    skips.find((skip) => skip.file === file && (skip.test === '*' || skip.test === test));
  const count = (outcome) => tests.filter((test) => test.outcome === outcome).length;
  const failed = tests.filter(({ outcome }) => outcome === 'failed');
  const unexpected = failed.filter((test) => listed(test) === undefined);
  const stale = tests.filter((test) => test.outcome === 'passed' && listed(test) !== undefined);
  console.log(
    `${count('passed')} passed, ${failed.length - unexpected.length} failed as listed, ${count('left out')} left out by the suite itself`,
  );
  for (const { file, test, why } of unexpected)
    console.log(`FAILED ${file}: ${test}\n  ${why.split('\n').slice(0, 3).join('\n  ')}`);
  for (const { file, test } of stale) console.log(`PASSES and need no longer be listed: ${file}: ${test}`);
  return unexpected.length + stale.length > 0 ? 1 : 0;
}
