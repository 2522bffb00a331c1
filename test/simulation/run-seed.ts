// One run from beginning to verdict, and what is told of it.
import { checkHistory, describe } from './linearizability/index.js';
import { describeOptions, type RunOptions, settingsOf } from './options.js';
import { type Outcome, Simulation } from './simulation.js';

/** What a process tells another one of a run. */
export interface Result {
  readonly seed: number;
  /** One line, with the invariant's name first; null: all was well. */
  readonly finding: string | null;
  /** Whatever else is known of it. */
  readonly details: string;
  readonly options: string;
  readonly replay: string;
  readonly events: number;
  readonly simulatedMs: number;
  readonly realMs: number;
  /** Of the processor. */
  readonly cpuMs: number;
  readonly operations: number;
  readonly elections: number;
  readonly faults: number;
  readonly hash: string;
}

export interface RunHow {
  /** Takes the lines of a readable log. */
  readonly write?: ((line: string) => void) | null;
  /** Takes the lines of the history. */
  readonly onHistory?: ((line: string) => void) | null;
}

/** Never rejects: what goes wrong is a finding. */
export async function runSeed(options: RunOptions, how: RunHow = {}): Promise<Result> {
  const started = performance.now();
  const before = process.cpuUsage();
  const simulation = new Simulation(options, how.write ?? null, how.onHistory ?? undefined);
  const onRejection = (error: unknown): void => simulation.watch.fail('UnhandledRejection', textOf(error));
  process.on('unhandledRejection', onRejection);
  try {
    const outcome = await simulation.run();
    const { finding, details } = judge(outcome);
    const { events, simulatedMs, operations, elections, faults, hash } = outcome;
    const told = { options: describeOptions(options), replay: replayOf(options) };
    const realMs = performance.now() - started;
    const { user, system } = process.cpuUsage(before);
    const cpuMs = (user + system) / 1_000;
    const numbers = { events, simulatedMs, realMs, cpuMs, operations, elections, faults };
    return { seed: options.seed, finding, details, ...told, ...numbers, hash };
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

function judge({ finding, history, settled }: Outcome): { finding: string | null; details: string } {
  if (finding !== null) return { finding: finding.message.split('\n', 1)[0] ?? '', details: textOf(finding) };
  if (checkHistory(settled).ok) return { finding: null, details: '' };
  const verdict = checkHistory(history);
  if (verdict.ok) return { finding: null, details: '' };
  const around = verdict.around.map((operation) => `  ${describe(operation)}`).join('\n');
  return { finding: `Linearizability: ${verdict.finding}`, details: around };
}

/** The command that does it again. */
export function replayOf(options: RunOptions): string {
  const settings = settingsOf(options).map((setting) => ` --set '${setting}'`);
  return `npm run test:simulate -- --seed ${options.seed}${settings.join('')}`;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
