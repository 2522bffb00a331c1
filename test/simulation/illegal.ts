// Histories that no store can have answered, and the test that each of them is rejected, for the right reason.
import assert from 'node:assert/strict';
import { describe as suite, test } from 'node:test';
import { type Shown, withoutRevisions } from './history-makers.js';
import { type CheckOptions, checkHistory, explain, type Operation } from './linearizability/index.js';

export interface Illegal {
  readonly name: string;
  readonly history: readonly Operation[];
  /** What the line must say. */
  readonly finding: RegExp;
  readonly options?: CheckOptions;
  /** Legal for who never looks at a revision. */
  readonly byRevisionAlone?: true;
}

export const ok = (revision: number): { revision: number } => ({ revision });
export const wrote = (revision: number, previous: Shown): object => ({
  revision,
  previous: previous === null ? null : seen(previous),
});
const seen = (text: string): object => ({ value: text.split('@')[0], revision: Number(text.split('@')[1]) });
export const failed = (text: Shown): object => ({ failed: [{ index: 0, current: text === null ? null : seen(text) }] });

/** One test for each. `blind`: they are wrong even to clients that never look at a revision. */
export function rejected(kind: string, cases: readonly Illegal[], { blind }: { blind: boolean }): void {
  suite(`rejected, ${kind}`, () => {
    for (const { name, history, finding, options = {}, byRevisionAlone } of cases) {
      test(name, () => {
        const verdict = checkHistory(history, options);
        assert.ok(!verdict.ok && verdict.kind === 'illegal', explain(verdict));
        assert.match(verdict.finding, finding);
        assert.doesNotMatch(verdict.finding, /\n/);
        assert.ok(verdict.operation !== null && verdict.around.includes(verdict.operation));
        if (!blind || byRevisionAlone === true) return;
        const unread = checkHistory(withoutRevisions(history), options);
        assert.ok(!unread.ok && unread.kind === 'illegal', `without revisions: ${explain(unread)}`);
      });
    }
  });
}
