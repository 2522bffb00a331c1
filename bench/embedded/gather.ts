// Group commit by turn: how a store without queue of its own is best used by many callers at once.

interface Waiter<A, R> {
  readonly asked: A;
  readonly resolve: (answer: R) => void;
  readonly reject: (error: unknown) => void;
}

/** Answers to what was asked, in its order. */
export type Work<A, R> = (asked: readonly A[]) => Promise<readonly R[]>;

/**
 * Queues what callers ask, and hands each queue to the store as one batch.
 *
 * The first one asked waits for the end of the turn, so that all callers of the turn come along; whoever asks while a
 * batch is under way goes into the next one.
 */
export class Gather<A, R> {
  readonly #work: Work<A, R>;
  #queue: Waiter<A, R>[] = [];
  #scheduled = false;

  constructor(work: Work<A, R>) {
    this.#work = work;
  }

  ask(asked: A): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ asked, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const batch = this.#queue;
    this.#queue = [];
    try {
      const answers = await this.#work(batch.map(({ asked }) => asked));
      for (let i = 0; i < batch.length; i++) batch[i]?.resolve(answers[i] as R);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#scheduled = false;
    this.#schedule();
  }
}
