export { startRecord, type RecordDeps } from './start-record.js';
