import { relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The seeds of a random scenario, or the one that is to be replayed. */
export function seeds(...fixed: readonly number[]): readonly number[] {
  const { ERAFT_SEED: only } = process.env;
  return only === undefined ? fixed : [Number(only)];
}

/** A test that is random but for its seed. A failure tells the command that shows it again. `module`: import.meta.url. */
export function seededTest(title: string, seed: number, module: string, body: () => Promise<void>): void {
  test(`${title}; seed ${seed}`, async () => {
    try {
      await body();
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      const file = relative(process.cwd(), fileURLToPath(module));
      const pattern = `--test-name-pattern='${title.slice(0, title.indexOf(':'))}'`;
      const replay = `ERAFT_SEED=${seed} node --enable-source-maps --test ${pattern} ${file}`;
      throw new Error(`${what}\nreplay: ${replay}`, { cause });
    }
  });
}
