import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { TraceError } from '../errors.js';

const run = promisify(execFile);

/** Where the kernel's documentation says that tracefs is (Documentation/trace/ftrace.rst). */
const PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const;

export interface Tracefs {
  readonly root: string;
  /** It had to be mounted; it stays so. */
  readonly mounted: boolean;
}

/**
 * Finds tracefs, and mounts it at its usual place when it is not and this may. Throws TRACE_DENIED without the privilege,
 * TRACE_REFUSED when the kernel has no tracefs, no uprobes or no instances.
 */
export async function openTracefs(): Promise<Tracefs> {
  const already = await place();
  const failed = already === null ? await mount().catch((cause: unknown) => cause) : undefined;
  const root = already ?? (await place());
  // Another collector may have mounted it at the same moment.
  if (root === null && failed !== undefined) throw failed;
  if (root === null) {
    throw new TraceError(
      'TRACE_REFUSED',
      'uprobes: tracefs was mounted at /sys/kernel/tracing and shows nothing there; mount it by hand: ' +
        'mount -t tracefs tracefs /sys/kernel/tracing',
    );
  }
  await requireUprobes(root);
  return { root, mounted: already === null };
}

/** A place that shows files of tracefs, or hides them from us. Throws TRACE_DENIED when it hides them. */
async function place(): Promise<string | null> {
  for (const root of PLACES) {
    try {
      await access(`${root}/trace_clock`);
      return root;
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'EACCES' || code === 'EPERM') throw noPrivilege(root);
    }
  }
  return null;
}

function noPrivilege(what: string): TraceError {
  return new TraceError(
    'TRACE_DENIED',
    `uprobes: ${what} is not open to this user; run as root, or start the program with "tidemark trace -- CMD"`,
  );
}

async function mount(): Promise<void> {
  const known = await readFile('/proc/filesystems', 'utf8').catch(() => '');
  if (known !== '' && !/\ttracefs$/m.test(known)) {
    throw new TraceError('TRACE_REFUSED', 'uprobes: this kernel was built without tracefs (CONFIG_FTRACE)');
  }
  if (process.getuid?.() !== 0) throw noPrivilege('tracefs is not mounted, and mounting it');
  try {
    await run('mount', ['-t', 'tracefs', 'tracefs', PLACES[0]], { timeout: 10_000 });
  } catch (cause) {
    const why = (cause as { stderr?: string }).stderr?.trim() || String(cause);
    throw new TraceError(
      'TRACE_DENIED',
      `uprobes: tracefs is not mounted and cannot be mounted at ${PLACES[0]}: ${why}; ` +
        'in a container, bring it in from the host',
      { cause },
    );
  }
}

async function requireUprobes(root: string): Promise<void> {
  for (const [file, what] of [
    ['uprobe_events', 'uprobes (CONFIG_UPROBE_EVENTS)'],
    ['instances', 'tracing instances'],
    ['set_event_pid', 'filters of events by process'],
  ] as const) {
    try {
      await access(`${root}/${file}`);
    } catch (cause) {
      throw new TraceError('TRACE_REFUSED', `uprobes: this kernel has no ${what}: ${root}/${file} is not there`, {
        cause,
      });
    }
  }
}
