import { Command, InvalidArgumentError } from 'commander';
import { addCommonOptions, optionsOf, type CommandContext } from '../context.js';
import { CliError, Exit } from '../exit-codes.js';
import { nonEmpty, oneOf, parseBytes, wholeNumber, type CommonOptions } from '../options.js';

const MODES = ['exact', 'sampled'] as const;
const STACKS = ['full', 'caller'] as const;
const MAX_INTERVAL = 2 ** 30;

export interface TraceOptions extends CommonOptions {
  pid?: number;
  mode?: (typeof MODES)[number];
  interval: number;
  stacks: (typeof STACKS)[number];
  duration?: number;
  children?: boolean;
  output?: string;
  flamegraph?: string;
  pprof?: string;
  collapsed?: string;
  top: number;
  atRisk: number;
}

export function traceCommand(context: CommandContext): Command {
  const command = new Command('trace')
    .description('run a program (after --) or attach to a process, and tell which allocations leak; asks no server')
    .usage('[options] (-- CMD [ARG...] | --pid N)')
    .argument('[command...]', 'program to run, with its arguments')
    .passThroughOptions()
    .option('--pid <number>', 'attach to a running process instead', wholeNumber(1, 2 ** 22))
    .option('--mode <mode>', 'exact (default for a program) or sampled (default with --pid)', oneOf(MODES))
    .option('--interval <bytes>', 'sampled: mean bytes between samples', interval, 512 * 1024)
    .option('--stacks <which>', 'full, or caller only, which costs less', oneOf(STACKS), 'full')
    .option('--duration <seconds>', 'with --pid: how long to look (default: until Ctrl-C)', wholeNumber(1, 2_000_000))
    .option('--children', 'a report for each child process, too')
    .option('-o, --output <file>', 'write the report there', nonEmpty)
    .option('--flamegraph <file>', 'write a flame graph of the live bytes (SVG)', nonEmpty)
    .option('--pprof <file>', 'write a profile for pprof', nonEmpty)
    .option('--collapsed <file>', 'write collapsed stacks (live bytes)', nonEmpty)
    .option('--top <number>', 'sites to show in the text', wholeNumber(1, 10_000), 20)
    .option('--at-risk <number>', 'live blocks to name in the JSON, at most', wholeNumber(0, 10_000_000), 100_000)
    .addHelpText('after', HELP);
  return addCommonOptions(command, false).action(async (words: string[], _: unknown, self: Command) => {
    const options = optionsOf<TraceOptions>(self);
    checkTarget(words, options);
    // Only here: symbols and profiles would slow the start of every other command.
    const { runTrace } = await import('../trace/run-trace.js');
    await runTrace(context, words, options);
  });
}

function checkTarget(words: readonly string[], { pid, duration, children }: TraceOptions): void {
  if (words.length === 0 && pid === undefined) {
    throw new CliError(
      Exit.Usage,
      'trace wants a program or a process',
      'tidemark trace -- CMD… or tidemark trace --pid N',
    );
  }
  if (words.length > 0 && pid !== undefined) {
    throw new CliError(Exit.Usage, `trace takes --pid ${pid} or the program ${words[0]}, not both`);
  }
  if (words.length > 0 && duration !== undefined) {
    throw new CliError(Exit.Usage, '--duration goes with --pid: a program is traced to its end');
  }
  if (pid !== undefined && children) {
    throw new CliError(Exit.Usage, '--children goes with a program, not with --pid');
  }
}

function interval(text: string): number {
  const bytes = parseBytes(text);
  if (bytes >= 1 && bytes <= MAX_INTERVAL) return bytes;
  throw new InvalidArgumentError('It must be from 1 byte to 1G.');
}

const HELP = `
The report goes to standard error, or to the file of --output: standard output is the program's alone, and so are its
exit status and its signals. With --pid the report goes to standard output.

  tidemark trace -- ./server --port 80
  tidemark trace --json -o report.json --flamegraph live.svg -- ./server
  tidemark trace --pid 4242 --duration 60`;
