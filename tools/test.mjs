// Runs every check of the project and ends with one line that counts them: `N passed, N failed`.
// `npm test -- PATTERN` runs only the test files whose path contains PATTERN, without lint and types.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const patterns = process.argv.slice(2);
/** How the names of tests begin that run the parts of a cluster. */
const CLUSTER = ['cluster', 'compose', 'containers/', 'control', 'drill', 'history', 'kafka', 'nodes', 'web'];
const count = { passed: 0, failed: 0, skipped: 0 };
/** What failed, told again at the end: the rest may be thousands of lines above. */
const failures = [];

if (patterns.length === 0) {
  check('formatting', bin('prettier'), ['--check', '--log-level=warn', '.']);
  check('project graph', bin('nx'), ['show', 'projects'], { quiet: true });
  check('lint and module boundaries', bin('eslint'), ['--max-warnings=0', '.']);
  check('types of sources and tests', bin('tsc'), ['-p', 'tsconfig.test.json']);
}
if (patterns.length > 0) await runTests('tests', patterns);
else {
  await runTests('unit', ['--exclude', 'test/**']);
  // Whole systems wait more than they work: those of a cluster run beside those of one host, each one file at a time.
  const system = ['--exclude', 'libs/**', '--exclude', 'apps/**', '--no-file-parallelism'];
  const ofCluster = CLUSTER.map((name) => `test/${name}*`);
  await Promise.all([
    runTests('host', [...system, ...ofCluster.flatMap((glob) => ['--exclude', glob])]),
    runTests('cluster', [...system, ...CLUSTER.map((name) => `test/${name}`)], { later: true }),
  ]);
}

if (process.env.CI === 'true' && count.skipped > 0) {
  failures.push(`${count.skipped} tests were skipped, which CI does not allow`);
  count.failed++;
}
for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
process.stdout.write(`\n${count.passed} passed, ${count.failed} failed${skipped}\n`);
process.exit(count.failed === 0 ? 0 : 1);

function check(name, command, args, { quiet = false } = {}) {
  const started = Date.now();
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', quiet ? 'ignore' : 1, 2] });
  const passed = status === 0;
  count[passed ? 'passed' : 'failed']++;
  if (!passed) failures.push(name);
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`);
}

/** With `later` the output is told at the end, so that it does not mix with another's. */
async function runTests(name, args, { later = false } = {}) {
  const report = join(root, '.cache', `${name}.json`);
  const output = join(root, '.cache', `${name}.log`);
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const file = later ? openSync(output, 'w') : undefined;
  const stdio = ['ignore', file ?? 1, file ?? 2];
  const child = spawn(bin('vitest'), ['run', ...reporters, ...args], { cwd: root, stdio });
  const status = await new Promise((resolve) => child.once('error', resolve).once('exit', resolve));
  if (file !== undefined) {
    closeSync(file);
    process.stdout.write(readFileSync(output));
  }
  let result;
  try {
    result = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    failures.push(`the ${name} tests wrote no report`);
    count.failed++;
    return;
  }
  count.passed += result.numPassedTests;
  count.failed += result.numFailedTests;
  count.skipped += result.numPendingTests + result.numTodoTests;
  // A file that cannot even be loaded has no tests to count as failed.
  const broken = result.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  count.failed += broken.length;
  for (const { name: file, message, assertionResults } of result.testResults) {
    const path = relative(root, file);
    if (broken.some((one) => one.name === file)) failures.push(`${path}: ${firstLine(message)}`);
    for (const { status, fullName, failureMessages } of assertionResults) {
      if (status === 'failed') failures.push(`${path} > ${fullName}: ${firstLine(failureMessages.join(' | '))}`);
      else if (status !== 'passed') process.stdout.write(`skipped ${path} > ${fullName}\n`);
    }
  }
  if (status !== 0 && result.numFailedTests + broken.length === 0) {
    failures.push(`the ${name} tests: an error outside of a test, see above`);
    count.failed++;
  }
}

function firstLine(text = '') {
  return text.split('\n')[0].slice(0, 300);
}
