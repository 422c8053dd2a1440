export function findEngine(): Promise<string | undefined>;
export function whyNoEngine(): string | undefined;
export function startEngine(): Promise<{ host: string; started: boolean }>;
export function stopEngine(): Promise<boolean>;
