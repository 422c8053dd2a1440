export interface ComposeService {
  image?: string;
  restart?: string;
  healthcheck?: { test?: string[] | string; disable?: boolean };
  mem_limit?: string | number;
  cpus?: string | number;
  pids_limit?: number;
  /** `127.0.0.1:4000:4000` in the first generation, an object in the second. */
  ports?: (string | { host_ip?: string; published?: string | number; target: number })[];
  volumes?: (string | { type: string; source: string; target: string; read_only?: boolean })[];
  cap_add?: string[];
  cap_drop?: string[];
  privileged?: boolean;
  read_only?: boolean;
  security_opt?: string[];
  pid?: string;
  network_mode?: string;
  user?: string;
  environment?: Record<string, string>;
}
export function composeCommand(): string[] | undefined;
export function whyNoCompose(): string | undefined;
export function compose(
  args: readonly string[],
  env: Record<string, string | undefined>,
): { status: number | null; stdout: string; stderr: string };
export function composeConfig(env: Record<string, string | undefined>): {
  services: Record<string, ComposeService>;
};
