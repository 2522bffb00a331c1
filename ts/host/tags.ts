/** Takes an answer of the storage: `status` 0 or the wire number of an error, then bytes [start, end), valid during the call. */
export type AnswerHandler = (status: number, bytes: Uint8Array, start: number, end: number) => void;

/** Names of questions under way: what the storage repeats in its answers. */
export class Tags {
  readonly #handlers = new Map<number, AnswerHandler>();
  #next = 1;

  get count(): number {
    return this.#handlers.size;
  }

  take(handler: AnswerHandler): number {
    while (this.#handlers.has(this.#next)) this.#advance();
    const tag = this.#next;
    this.#advance();
    this.#handlers.set(tag, handler);
    return tag;
  }

  /** The handler of `tag`, which is free again. */
  release(tag: number): AnswerHandler | undefined {
    const handler = this.#handlers.get(tag);
    this.#handlers.delete(tag);
    return handler;
  }

  /** Nothing more will be answered: tells everybody who asked, with the wire number of an error and what it says. */
  abandon(status: number, message: string): void {
    const text = new TextEncoder().encode(message);
    for (const tag of [...this.#handlers.keys()]) this.release(tag)?.(status, text, 0, text.length);
  }

  #advance(): void {
    this.#next = this.#next === 0xffff_ffff ? 1 : this.#next + 1;
  }
}
