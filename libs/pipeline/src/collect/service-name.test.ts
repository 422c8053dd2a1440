import { describe, expect, it } from 'vitest';
import { serviceName } from './service-name.js';

const ID = '0123456789abcdef'.repeat(4);
const SHORT = ID.slice(0, 12);

describe('what of a process survives its restarts', () => {
  it.each([
    ['/system.slice/nginx.service', 'nginx.service'],
    ['/system.slice/system-getty.slice/getty@tty1.service', 'getty@tty1.service'],
    ['/system.slice/postgresql@15-main.service/child', 'postgresql@15-main.service'],
    ['/system.slice/dev\\x2dhugepages.service', 'dev-hugepages.service'],
    ['/user.slice/user-1000.slice/user@1000.service/app.slice/pipewire.service', 'pipewire.service'],
    ['/user.slice/user-1000.slice/user@1000.service/init.scope', 'user@1000.service'],
    ['/user.slice/user-1000.slice/session-3.scope', 'program'],
    ['/init.scope', 'program'],
    ['/', 'program'],
    [null, 'program'],
    ['', 'program'],
    [`/system.slice/docker-${ID}.scope`, SHORT],
    [`/docker/${ID}`, SHORT],
    [`/kubepods/burstable/pod5a2d/${ID}`, SHORT],
    [`/kubepods.slice/kubepods-pod5a2d.slice/cri-containerd-${ID}.scope`, SHORT],
    [`/kubepods.slice/kubepods-pod5a2d.slice/crio-${ID}.scope`, SHORT],
    [`/machine.slice/libpod-${ID}.scope/container`, SHORT],
    [`/libpod_parent/libpod-${ID}`, SHORT],
    [`/system.slice/docker-${ID}.scope/system.slice/web.service`, `${SHORT}/web.service`],
    ['/lxc/web', 'web'],
    ['/lxc.payload.web/system.slice/ssh.service', 'web/ssh.service'],
    ['/system.slice/containerd.service', 'containerd.service'],
    [`/system.slice/containerd.service/kubepods-pod1.slice/${ID}`, SHORT],
  ])('in %s is %s', (cgroup, expected) => {
    expect(serviceName(cgroup, 'program')).toBe(expected);
  });
});
