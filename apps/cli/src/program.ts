import { Command } from 'commander';
import { clusterCommand } from './commands/cluster.js';
import { detectCommand } from './commands/detect.js';
import { doctorCommand } from './commands/doctor.js';
import { findingsCommand } from './commands/findings.js';
import { nodeCommand } from './commands/node.js';
import { psCommand } from './commands/ps.js';
import { topCommand } from './commands/top.js';
import { traceCommand } from './commands/trace.js';
import { upCommand } from './commands/up.js';
import { addCommonOptions, type CommandContext } from './context.js';
import { EXIT_CODES } from './exit-codes.js';
import { printable } from './terminal/printable.js';

/** The whole command line. Throws CommanderError instead of ending the process. */
export function createProgram(context: CommandContext, version: string): Command {
  const program = new Command('tidemark')
    .description('Watches the memory of every process of a cluster and says which ones leak.')
    .version(version, '-V, --version', 'print the version')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .addHelpText('after', footer());
  addCommonOptions(program, true);
  const commands = [
    upCommand,
    topCommand,
    psCommand,
    nodeCommand,
    clusterCommand,
    findingsCommand,
    traceCommand,
    detectCommand,
    doctorCommand,
  ];
  for (const create of commands) program.addCommand(create(context));
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      // What was mistyped is shown again, and may hold anything.
      outputError: (text, write) => write(`tidemark: ${oneLine(text)}\n`),
    });
  }
  return program;
}

/** Commander's message and its suggestion as one line. */
function oneLine(text: string): string {
  return printable(
    text
      .trim()
      .replace(/^error: /, '')
      .replace(/\s*\n\s*/g, ' '),
  );
}

function footer(): string {
  const codes = EXIT_CODES.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`);
  return `
Exit status:
${codes.join('\n')}
  128 + N when signal N ended it: 130 after Ctrl-C

Environment: TIDEMARK_URL, TIDEMARK_TOKEN, NO_COLOR`;
}
