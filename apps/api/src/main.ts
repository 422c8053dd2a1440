import { configOrExit, runApp } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';
import { startApi } from './start.js';

const NAME = 'tidemark api';
const config = configOrExit(NAME, USAGE, () => readConfig(process.argv.slice(2)));

runApp({ name: NAME, log: config.log, start: (app) => startApi(config, app) });
