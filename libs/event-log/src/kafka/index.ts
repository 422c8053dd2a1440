export { createKafkaEventLog } from './kafka-event-log.js';
export type { KafkaEventLogOptions, KafkaSasl, KafkaTls } from './options.js';
export { kafkaOptions, kafkaSettings, type KafkaSettings } from './settings.js';
