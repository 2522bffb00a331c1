// eraft serve: one replica and its server, in the foreground, until a signal.
import { type Command, Option as Flag } from 'commander';
import { loadSettings, printSettings, settingsAsJson, suspiciousVariables } from '../config/load.js';
import { flagOf, type Group, OPTIONS } from '../config/options.js';
import { serveConfig } from '../config/replica.js';
import { EXIT, type ExitCode } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';

interface ServeFlags extends Readonly<Record<string, unknown>> {
  readonly config?: string;
  readonly printConfig?: boolean;
  readonly json?: boolean;
  readonly untilInputEnds?: boolean;
}

const GROUPS: Readonly<Record<Group, string>> = {
  replica: 'Replica:',
  logging: 'Logging:',
  storage: 'Storage:',
  replication: 'Replication and its limits:',
  server: 'Server and its limits:',
};

async function serve(flags: ServeFlags, io: Io): Promise<ExitCode> {
  const file = flags.config ?? io.environment.ERAFT_CONFIG;
  const settings = loadSettings({ flags, environment: io.environment, file });
  const warnings = suspiciousVariables(io.environment);
  if (flags.printConfig === true) {
    for (const warning of warnings) await write(io.stderr, `eraft: ${warning}\n`);
    await write(io.stdout, flags.json === true ? settingsAsJson(settings) : printSettings(settings));
    serveConfig(settings); // what would be refused is refused here, too
    return EXIT.ok;
  }
  const config = serveConfig(settings);
  const { runReplica } = await import('../serve/replica-process.js');
  return runReplica(config, warnings, flags.untilInputEnds === true ? io.stdin : undefined);
}

export function addServe(program: Command, io: Io, run: (action: Action) => void): void {
  const command = program
    .command('serve')
    .description('run one replica: a store alone, or a member of a cluster (--peers)')
    .option('-c, --config <path>', 'read options from a TOML or JSON file (ERAFT_CONFIG)')
    .option('--print-config', 'print what is in force and where each value comes from, and do nothing else')
    .option('--json', 'with --print-config: as JSON')
    .addOption(new Flag('--until-input-ends', 'stop when standard input ends: when the supervisor is gone').hideHelp());
  for (const { name, kind, about, group, default: byDefault } of OPTIONS) {
    const text = byDefault === undefined ? about : `${about} (default ${kind.show(byDefault)})`;
    const flag = new Flag(`${flagOf(name)}${kind.placeholder === '' ? ' [true|false]' : ` ${kind.placeholder}`}`, text);
    command.addOption(flag.helpGroup(GROUPS[group]));
  }
  command.addHelpText(
    'after',
    '\nEach option is also a variable (--data-dir: ERAFT_DATA_DIR) and a key of the file (dataDir). docs/configuration.md',
  );
  command.action((flags: ServeFlags) => run(() => serve(flags, io)));
}
