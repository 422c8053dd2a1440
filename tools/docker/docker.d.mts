export function engineEnvironment(host: string): Record<string, string | undefined>;
export function dockerCommand(): string;
export function docker(
  host: string,
  args: readonly string[],
  options?: { command?: string; cwd?: string },
): Promise<string>;
export function imageLabel(host: string, name: string): Promise<string | undefined>;
