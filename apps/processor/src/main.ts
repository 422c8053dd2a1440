import { configOrExit, runApp } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';
import { startProcessor } from './start.js';

const NAME = 'tidemark processor';
const config = configOrExit(NAME, USAGE, () => readConfig(process.argv.slice(2)));

runApp({ name: NAME, log: config.log, start: (app) => startProcessor(config, app) });
