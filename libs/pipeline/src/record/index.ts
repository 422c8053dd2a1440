export { RECORD_GROUPS } from './record-groups.js';
export { startRecord, type RecordDeps } from './start-record.js';
