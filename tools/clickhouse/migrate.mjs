// Brings a database to what this build expects, as a user with more rights than the writer has; `--help` tells more.
import { createHistory, historyOptions, historySettings } from '@tidemark/history';
import { COMMON_OPTIONS, readAppConfig } from '@tidemark/service';

const HELP = `node tools/clickhouse/migrate.mjs [options]

Makes and changes the tables of history, and how long they keep what, by the settings of the section "history". Can be
run at any time, by several at once.

${COMMON_OPTIONS}`;

/** @param {import('@tidemark/history').HistorySettings} settings */
async function migrate(settings) {
  const history = createHistory(historyOptions(settings));
  try {
    await history.preflight('migrator');
    const { applied, version } = await history.migrate();
    const what = applied.length === 0 ? 'nothing to apply' : `applied ${applied.join(', ')}`;
    return `history database ${settings.database} has migration ${version}: ${what}\n`;
  } finally {
    await history.close();
  }
}

try {
  const config = readAppConfig({ history: historySettings }, process.argv.slice(2), process.env);
  process.stdout.write(config === 'help' ? HELP : await migrate(config.settings.history));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
