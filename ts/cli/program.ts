// The command line as commander sees it: every command, its flags and its help.
import { Command, CommanderError } from 'commander';
import { VERSION } from '../base/version.js';
import { addBackup } from './commands/backup.js';
import { addBench } from './commands/bench.js';
import { addCluster } from './commands/cluster.js';
import { addCompletion } from './commands/completion.js';
import { addInspect } from './commands/inspect.js';
import { addReads } from './commands/reads.js';
import { addRestore } from './commands/restore.js';
import { addServe } from './commands/serve.js';
import { addStatus } from './commands/status.js';
import { addWrites } from './commands/writes.js';
import { EXIT, type ExitCode, exitCodeOf, renderError } from './exit.js';
import { type Io, write } from './io.js';

/** A command's work: returns how it ended. */
export type Action = () => Promise<ExitCode>;

const AFTER_HELP = `
Exit codes: 0 done, 1 failure, 2 usage, 3 data folder or environment, 4 not found, 5 outcome unknown.
Replicas are found at --endpoints, or ERAFT_ENDPOINTS, or the three ports of a local cluster.`;

export function buildProgram(io: Io, run: (action: Action) => void): Command {
  const program = new Command('eraft')
    .description('A replicated, linearizable key-value store.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', AFTER_HELP)
    .showHelpAfterError('(--help lists what there is)')
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, out) => out(text.replace(/^error: /, 'eraft: ')),
    })
    .exitOverride();
  addServe(program, io, run);
  addCluster(program, io, run);
  addReads(program, io, run);
  addWrites(program, io, run);
  addStatus(program, io, run);
  addBackup(program, io, run);
  addRestore(program, io, run);
  addInspect(program, io, run);
  addBench(program, io, run);
  addCompletion(program, io, run);
  for (const command of program.commands) {
    command.exitOverride().copyInheritedSettings(program).helpOption('-h, --help', 'print this help');
  }
  return program;
}

/** Runs one command line. Never throws; whatever goes wrong is written to standard error. */
export async function runProgram(argv: readonly string[], io: Io): Promise<ExitCode> {
  let action: Action | undefined;
  const program = buildProgram(io, (chosen) => {
    action = chosen;
  });
  try {
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return EXIT.usage;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return action === undefined ? EXIT.usage : await action();
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    await write(io.stderr, renderError(error));
    return exitCodeOf(error);
  }
}
