export const KAFKA_VERSION: string;
export function whyNoKafka(): string | undefined;
export function kafkaJars(say?: (line: string) => void): string;
