import { Command } from 'commander';
import { addCommonOptions, optionsOf, type CommandContext } from '../context.js';
import { CliError, Exit } from '../exit-codes.js';
import { oneOf } from '../options.js';

const PROFILES = ['production', 'demo'] as const;

interface DetectCommandOptions {
  summary?: boolean;
  profile: (typeof PROFILES)[number];
}

export function detectCommand(context: CommandContext): Command {
  const command = new Command('detect')
    .description('judge recorded series of memory (CSV) and write JSON Lines; asks no server')
    .argument('[file]', 'CSV with the columns series, ts, bytes and maybe service, limit; - is standard input')
    .option('--summary', 'also one line per series at the end: where it stands, and since when')
    .option(
      '--profile <name>',
      `how fast to judge: ${PROFILES.join(' or ')} (demo: for series of minutes)`,
      oneOf(PROFILES),
      'production',
    );
  return addCommonOptions(command, false).action(async (file: string | undefined, _: unknown, self: Command) => {
    const options = optionsOf<DetectCommandOptions>(self);
    if (file === undefined && process.stdin.isTTY) {
      throw new CliError(Exit.Usage, 'detect wants a CSV file', 'or - to read standard input');
    }
    // Only here: the detector and its parser would slow the start of every other command.
    const { runDetect } = await import('../detect/run-detect.js');
    const exit = await runDetect({
      input: file === undefined || file === '-' ? process.stdin : file,
      output: process.stdout,
      warn: (line) => context.output.note(line),
      profile: options.profile,
      summary: options.summary ?? false,
      signal: context.signal,
    });
    if (!context.signal.aborted) context.finish(exit);
  });
}
