// Which operations must be searched together.
//
// Claim:   a history is linearizable if and only if, for every part, the operations of that part are.
// Why:     linearizability is local (Herlihy and Wing 1990, theorem 1): the orders of the objects and the order of real
//          time never form a cycle together. It holds for any division of the state into objects, as long as each
//          operation is on one object. A part is such an object: all keys that some operation ties together.
// Rests:   a range names every key of the history within it. A key within it that nobody ever named is absent throughout.
// Checked: the property test compares with an exhaustive search over all keys at once.
import { allKeys, keysOf, keysWithin, observationsOf, rangeOf, type Task } from './tasks.js';

export interface Part {
  /** Sorted. Empty for operations on ranges without a key. */
  readonly keys: readonly string[];
  readonly tasks: readonly Task[];
}

/** Single keys where operations allow it, else the keys that they tie together. Tasks keep their order. */
export function partsOf(tasks: readonly Task[]): Part[] {
  const keys = allKeys(tasks.map((task) => task.op));
  const groups = new Groups(keys);
  const named = tasks.map((task) => namedBy(task, keys));
  for (const names of named) for (const key of names) groups.join(names[0] ?? key, key);
  const parts = new Map<string, { keys: string[]; tasks: Task[] }>();
  const partOf = (root: string): { keys: string[]; tasks: Task[] } => {
    const part = parts.get(root) ?? { keys: [], tasks: [] };
    parts.set(root, part);
    return part;
  };
  for (const key of keys) partOf(`of ${groups.rootOf(key)}`).keys.push(key);
  for (const [place, task] of tasks.entries()) {
    const key = named[place]?.[0];
    partOf(key === undefined ? 'none' : `of ${groups.rootOf(key)}`).tasks.push(task);
  }
  return [...parts.values()].filter((part) => part.tasks.length > 0);
}

function namedBy(task: Task, keys: readonly string[]): readonly string[] {
  const range = rangeOf(task.op.input);
  if (range === null) return keysOf(task.op.input);
  // A key that a scan should not have shown belongs to it all the same, so that the search can say so.
  const shown = [...observationsOf(task.op)].map((each) => each.key);
  return [...keysWithin(range, keys), ...shown];
}

/** Union-find, with halving of the paths. */
class Groups {
  readonly #above: Map<string, string>;

  constructor(keys: readonly string[]) {
    this.#above = new Map(keys.map((key) => [key, key]));
  }

  rootOf(key: string): string {
    let at = key;
    for (;;) {
      const above = this.#above.get(at) ?? at;
      if (above === at) return at;
      const next = this.#above.get(above) ?? above;
      this.#above.set(at, next);
      at = next;
    }
  }

  join(a: string, b: string): void {
    this.#above.set(this.rootOf(b), this.rootOf(a));
  }
}
