// What a person sees while steps run: one live line on a terminal, a line every 15 seconds at most elsewhere.
const QUIET_MS = 15_000;
const FRAME_MS = 250;

export function elapsed(ms) {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
}

export class Progress {
  #out;
  #live;
  #running = new Map();
  #timer;
  #shown = '';

  constructor(out = process.stderr) {
    this.#out = out;
    this.#live = Boolean(out.isTTY);
  }

  /** Prints a line above the live one. */
  line(text) {
    this.#clear();
    this.#out.write(`${text}\n`);
    this.#draw();
  }

  /**
   * Runs `work` and shows it as `name`. `work` gets a function that sets a short detail ("120 of 343 files").
   * Returns what `work` returns; a string returned under `skipped` says why there was nothing to do.
   */
  async step(name, work) {
    const started = Date.now();
    const state = { name, started, detail: '', printed: started };
    this.#running.set(state, true);
    this.#start();
    try {
      const result = await work((detail) => {
        state.detail = detail;
      });
      this.#finish(state);
      const note = typeof result === 'string' && result !== '' ? `: ${result}` : '';
      this.line(`  ok    ${name}${note} (${elapsed(Date.now() - started)})`);
      return result;
    } catch (error) {
      this.#finish(state);
      this.line(`  FAIL  ${name} (${elapsed(Date.now() - started)})`);
      throw error;
    }
  }

  #start() {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => (this.#live ? this.#draw() : this.#remind()), this.#live ? FRAME_MS : 1000);
    this.#timer.unref();
  }

  #finish(state) {
    this.#running.delete(state);
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
  }

  #remind() {
    const now = Date.now();
    for (const state of this.#running.keys()) {
      if (now - state.printed < QUIET_MS) continue;
      state.printed = now;
      this.#out.write(`  ...   ${describe(state, now)}\n`);
    }
  }

  #draw() {
    if (!this.#live || this.#running.size === 0) return;
    const now = Date.now();
    const text = [...this.#running.keys()].map((state) => describe(state, now)).join('  |  ');
    this.#clear();
    this.#shown = `  ...   ${text}`.slice(0, (this.#out.columns || 80) - 1);
    this.#out.write(this.#shown);
  }

  #clear() {
    if (this.#shown === '') return;
    this.#out.write('\r\x1b[2K');
    this.#shown = '';
  }
}

function describe(state, now) {
  return `${state.name} ${elapsed(now - state.started)}${state.detail === '' ? '' : ` ${state.detail}`}`;
}
