export function freePorts(count: number, host?: string): Promise<number[]>;
