/** What the exit status of the command means. Documented in docs/cli.md and in --help. */
export const Exit = {
  Ok: 0,
  /** The command line is wrong: unknown command or option, value out of range. */
  Usage: 1,
  /** No Tidemark API answers at the address. */
  Unreachable: 2,
  /** What was asked for does not exist: node, process, program, file. */
  NotFound: 3,
  /** The API wants a token, or another one. */
  Denied: 4,
  /** The API answered with an error. */
  Refused: 5,
  /** `doctor`: something that Tidemark needs is missing here. */
  HostMissing: 6,
  /** `detect`: the input is not what it should be. */
  BadInput: 7,
  /** A defect of Tidemark itself. */
  Internal: 70,
  /** `trace`: the program or process cannot be traced, or the program not be run. As env(1) and timeout(1) have it. */
  Untraceable: 126,
  /** `trace`: there is no such program. */
  NoProgram: 127,
} as const;

export type ExitCode = (typeof Exit)[keyof typeof Exit];

export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [Exit.Ok, 'done'],
  [Exit.Usage, 'the command line is wrong'],
  [Exit.Unreachable, 'no Tidemark API answers at the address'],
  [Exit.NotFound, 'no such node, process, program or file'],
  [Exit.Denied, 'the API wants a token, or another one'],
  [Exit.Refused, 'the API answered with an error'],
  [Exit.HostMissing, 'doctor: something that Tidemark needs is missing'],
  [Exit.BadInput, 'detect: the input is not what it should be'],
  [Exit.Internal, 'a defect of Tidemark'],
  [Exit.Untraceable, 'trace: it cannot be traced, for the reason that is named'],
  [Exit.NoProgram, 'trace: no such program'],
];

/** Added to the number of the signal that ended the command: 130 after Ctrl-C, 143 after SIGTERM. */
export const SIGNAL_BASE = 128;

/** Why a command ends early: one line, what to do about it on a second one, and the exit status. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly exit: ExitCode,
    message: string,
    readonly hint?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
