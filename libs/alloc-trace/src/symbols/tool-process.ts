import { spawn, type ChildProcess } from 'node:child_process';
import { setPriority } from 'node:os';

export interface ToolLimits {
  /** Directories in which commands are looked for, as in PATH. */
  searchPath: string;
  /** Private memory of one tool, bytes. What it maps of files does not count. */
  toolMemory: number;
  /** Longest wait for the next line of an answer, milliseconds. */
  toolTimeout: number;
}

/** A command that answers lines with lines. One conversation at a time. */
export interface ToolProcess {
  /**
   * Writes `input` and gives the lines up to the one at which `isLast` says so. Rejects when the tool ends, says too much
   * or nothing for too long; it is killed then, and started again by the next call.
   */
  converse(input: string, isLast: (line: string) => boolean): Promise<string[]>;
  /** The tool ends; a conversation under way is rejected. The next one starts it again. */
  end(): void;
}

/** An answer to a batch that is longer than this comes from hostile debug information, characters. */
const MAX_ANSWER = 32 * 1024 * 1024;
const MAX_LINE = 65_536;

interface Conversation {
  lines: string[];
  taken: number;
  isLast: (line: string) => boolean;
  resolve: (lines: string[]) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

/**
 * A tool that is started when it is first asked. It ends with its standard input, so also when this process is killed,
 * and does not keep this process alive: only the time-out of an answer does. Its memory is bounded by RLIMIT_DATA, which
 * leaves the mapping of large files alone; it gets no environment but a search path, so that nothing makes it ask the
 * network for debug information; it runs at a lower priority.
 */
export function createToolProcess(command: string, args: readonly string[], limits: ToolLimits): ToolProcess {
  let child: ChildProcess | undefined;
  let rest = '';
  let current: Conversation | undefined;

  const finish = (error?: Error): void => {
    const conversation = current;
    if (conversation === undefined) return;
    current = undefined;
    clearTimeout(conversation.timer);
    if (error === undefined) conversation.resolve(conversation.lines);
    else conversation.reject(error);
  };
  const fail = (why: string): void => {
    const ending = child;
    child = undefined;
    rest = '';
    ending?.kill('SIGKILL');
    finish(new Error(`${command} ${why}`));
  };
  const take = (text: string): void => {
    rest += text;
    const lines = rest.split('\n');
    rest = lines.pop()!;
    if (current === undefined) return;
    current.timer.refresh();
    current.taken += text.length;
    if (current.taken > MAX_ANSWER || rest.length > MAX_LINE) return fail('says too much');
    for (const line of lines) {
      current.lines.push(line);
      if (current.isLast(line)) return finish();
    }
  };
  const start = (): ChildProcess => {
    const started = spawnLimited(command, args, limits);
    started.stdout!.setEncoding('utf8').on('data', (text: string) => started === child && take(text));
    started.stdin!.on('error', () => undefined);
    started.on('error', (error) => started === child && fail(`cannot be started: ${error.message}`));
    started.on('exit', (code, signal) => started === child && fail(`ended with ${signal ?? code}`));
    return started;
  };

  return {
    converse: (input, isLast) =>
      new Promise((resolve, reject) => {
        if (current !== undefined) return reject(new Error(`${command} is still answering`));
        const timer = setTimeout(() => fail(`did not answer within ${limits.toolTimeout} ms`), limits.toolTimeout);
        current = { lines: [], taken: 0, isLast, resolve, reject, timer };
        child ??= start();
        child.stdin!.write(input);
      }),
    end: () => fail('was ended'),
  };
}

function spawnLimited(command: string, args: readonly string[], limits: ToolLimits): ChildProcess {
  const kilobytes = Math.max(1, Math.floor(limits.toolMemory / 1024));
  const child = spawn('/bin/sh', ['-c', `ulimit -d ${kilobytes}; ulimit -c 0; exec "$0" "$@"`, command, ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: limits.searchPath, LC_ALL: 'C' },
  });
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as unknown as { unref?: () => void } | null)?.unref?.();
  if (child.pid !== undefined) {
    try {
      setPriority(child.pid, 10);
    } catch {
      // It has ended already, which `exit` tells of.
    }
  }
  return child;
}
