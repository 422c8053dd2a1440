/** Containers are named by this much of their id, as their tools show it. */
const SHORT_ID = 12;

/** `docker-<id>.scope`, `cri-containerd-<id>.scope`, `libpod-<id>.scope`, `crio-<id>.scope`, … of the systemd driver. */
const CONTAINER_SCOPE = /^([a-z][a-z-]{0,40})-([0-9a-f]{64})\.scope$/;
/** `<id>` alone, below `docker`, `kubepods/…/pod…` or another engine's directory: the cgroupfs driver. */
const CONTAINER_ID = /^[0-9a-f]{64}$/;
const CONTAINER_PREFIX = /^(?:libpod|crio|docker|cri-containerd)-([0-9a-f]{64})$/;
/** LXC and LXD: `lxc.payload.NAME`, `lxc/NAME`. */
const LXC_PAYLOAD = /^lxc\.payload\.(.+)$/;
/** A unit that is every login of one user: names the session manager, not the program. */
const USER_MANAGER = /^user@\d+\.service$/;
/** systemd writes `-` in a name as `\x2d`. */
const ESCAPED = /\\x([0-9a-f]{2})/g;

/**
 * What of a process survives its restarts: the container or systemd unit that its control group belongs to, else the
 * program. `cgroup` is a path of `/proc/[pid]/cgroup`: any hierarchy that systemd or the container engine names.
 *
 * The innermost name wins, so that a unit inside a container of systemd is still told apart: `web.service` within
 * `docker-<id>.scope` is `<id>/web.service`.
 */
export function serviceName(cgroup: string | null, program: string): string {
  if (cgroup === null) return program;
  let container: string | undefined;
  let unit: string | undefined;
  let manager: string | undefined;
  const parts = cgroup.split('/');
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at]!;
    const found = containerName(part, parts[at - 1]);
    if (found !== undefined) {
      container = found;
      unit = manager = undefined;
    } else if (part.endsWith('.service')) {
      if (USER_MANAGER.test(part)) manager = part;
      else unit = part;
    }
  }
  const name = unit ?? manager;
  const inner = name?.replace(ESCAPED, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (container === undefined) return inner ?? program;
  return inner === undefined ? container : `${container}/${inner}`;
}

function containerName(part: string, parent: string | undefined): string | undefined {
  const scope = CONTAINER_SCOPE.exec(part);
  if (scope) return scope[2]!.slice(0, SHORT_ID);
  const prefixed = CONTAINER_PREFIX.exec(part);
  if (prefixed) return prefixed[1]!.slice(0, SHORT_ID);
  if (CONTAINER_ID.test(part)) return part.slice(0, SHORT_ID);
  const payload = LXC_PAYLOAD.exec(part);
  if (payload) return payload[1]!;
  return parent === 'lxc' && part !== '' ? part : undefined;
}
