export const APPS: readonly { app: string; target: string; port: number }[];
export const KAFKA_IMAGE: string;
export const CLICKHOUSE_IMAGE: string;
export function imageOf(app: string): string;
export function imageEnvironment(): Record<string, string>;
export function builtApps(): { app: string; target: string; port: number }[];
export function buildApps(host: string, say: (line: string) => void): Promise<void>;
export function buildKafka(host: string, say: (line: string) => void): Promise<void>;
