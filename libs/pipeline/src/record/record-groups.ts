import type { WatchedGroup } from '../log-metrics.js';
import { RECORD_TOPICS } from './record-topic.js';

/** What `startRecord` reads, and as whom. */
export const RECORD_GROUPS: readonly WatchedGroup[] = RECORD_TOPICS.map(({ topic }) => ({ topic, group: 'record' }));
