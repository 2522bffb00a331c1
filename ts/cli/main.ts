#!/usr/bin/env node
// ts/cli: the `eraft` binary. Reads the command line and configuration, runs one command, turns errors into exit codes.
//
// In:   argv, ERAFT_* variables, a configuration file. Out: text or JSON, and an exit code (docs/errors.md).
// Not:  any behaviour of the store: what a command does is a call to Client, or to ReplicaNode and Server.
// May import: everything below; serve alone loads the addon, and only when it runs.
// Start at program.ts, then commands/.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ExitCode } from './exit.js';
import { PROCESS_IO } from './io.js';
import { runProgram } from './program.js';

/** Runs one command line, without the name of the program. */
export function main(argv: readonly string[]): Promise<ExitCode> {
  // Without a listener, a reader of our output that goes away would end us with a stack trace.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  return runProgram(argv, PROCESS_IO);
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

const started = process.argv[1];
if (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
