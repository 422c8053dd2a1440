import { Command } from 'commander';
import { createProcfs } from '@tidemark/procfs';
import { addCommonOptions, optionsOf, type CommandContext } from '../context.js';
import type { Check, CheckStatus } from '../doctor/check.js';
import { kernelChecks } from '../doctor/kernel-checks.js';
import { processChecks } from '../doctor/process-checks.js';
import { serviceChecks } from '../doctor/service-checks.js';
import { traceChecks } from '../doctor/trace-checks.js';
import { Exit } from '../exit-codes.js';
import { nonEmpty, wholeNumber } from '../options.js';
import { displayWidth } from '../terminal/printable.js';
import { span, type Line, type Style } from '../terminal/style.js';

interface DoctorOptions {
  port?: number;
  historyPort?: number;
  data?: string;
  procRoot?: string;
  sysRoot?: string;
}

export function doctorCommand(context: CommandContext): Command {
  const command = new Command('doctor')
    .description('what this host can and cannot do for Tidemark, and why; asks no server')
    .option('--port <number>', 'port that the API would take', wholeNumber(1, 65_535), 4000)
    .option('--history-port <number>', 'port that the embedded ClickHouse would take', wholeNumber(1, 65_535), 8123)
    .option('--data <directory>', 'directory that the history would be kept in', nonEmpty)
    .option('--proc-root <directory>', 'proc file system to look at', nonEmpty, '/proc')
    .option('--sys-root <directory>', 'what stands for /sys', nonEmpty, '/sys');
  return addCommonOptions(command, false).action(async (_: unknown, self: Command) => {
    const options = optionsOf<DoctorOptions>(self);
    const checks = await examine(context, options);
    const works = checks.every(({ status }) => status !== 'missing');
    if (options.json) context.output.json({ ok: works, checks });
    else context.output.lines(renderChecks(checks));
    context.finish(works ? Exit.Ok : Exit.HostMissing);
  });
}

async function examine(context: CommandContext, options: DoctorOptions): Promise<Check[]> {
  const { environment } = context;
  const procfs = createProcfs({ root: options.procRoot ?? '/proc', sys: options.sysRoot ?? '/sys' });
  return [
    ...kernelChecks(procfs),
    ...processChecks(procfs),
    ...traceChecks({ path: environment.path }),
    ...(await serviceChecks({
      apiPort: options.port ?? 4000,
      historyPort: options.historyPort ?? 8123,
      dataDirectory: options.data ?? environment.dataDirectory,
      path: environment.path,
    })),
  ];
}

const STYLES: Readonly<Record<CheckStatus, Style>> = { ok: 'good', limited: 'warning', missing: 'danger' };

/** One line per check, its advice on a second one, and the sum. */
export function renderChecks(checks: readonly Check[]): Line[] {
  const width = Math.max(...checks.map(({ name }) => displayWidth(name)));
  const lines = checks.flatMap(({ name, status, detail, advice }): Line[] => {
    const line: Line = [span(status.padEnd(9), STYLES[status]), span(name.padEnd(width + 2), 'strong'), span(detail)];
    return advice === null ? [line] : [line, [span(' '.repeat(9 + width + 2)), span(`→ ${advice}`, 'accent')]];
  });
  return [...lines, [], verdict(checks)];
}

function verdict(checks: readonly Check[]): Line {
  const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
  if (count('missing') > 0) return [span(`Tidemark cannot run here as it is: ${count('missing')} missing.`, 'danger')];
  if (count('limited') > 0) return [span(`Tidemark runs here, with ${count('limited')} limits.`, 'warning')];
  return [span('Tidemark runs here without limits.', 'good')];
}
