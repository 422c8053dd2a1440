export function userStatements(options: {
  database: string;
  cluster?: string;
  roles?: readonly string[];
  hashes?: Record<string, string>;
}): string[];
