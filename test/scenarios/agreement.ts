import type { Lab, Proposal } from './lab.js';

const PATIENCE_MS = 10_000;
const PROPOSAL_PATIENCE_MS = 2_000;
const PAUSE_MS = 50;

export interface AgreementOptions {
  /** Default true: propose again when there is no agreement within 2 s. */
  readonly retry?: boolean;
  /** Of the value, besides its name. */
  readonly bytes?: number;
}

/** One value on its way to being agreed upon: proposed at whoever leads, and at the next one if that comes to nothing. */
export class Agreement {
  readonly #lab: Lab;
  readonly #replicas: number;
  readonly #how: AgreementOptions;
  readonly #giveUpAt: number;
  #proposal: Proposal | null = null;
  #nextAt = 0;

  constructor(lab: Lab, replicas: number, how: AgreementOptions) {
    this.#lab = lab;
    this.#replicas = replicas;
    this.#how = how;
    this.#giveUpAt = lab.now + PATIENCE_MS;
  }

  /** @returns the index; 0: not yet. @throws when it has taken too long */
  step(): number {
    const { now, log } = this.#lab;
    if (this.#proposal !== null && this.#lab.isOn(this.#proposal, this.#replicas))
      return log.placeOf(this.#proposal.value)?.index ?? 0;
    if (now < this.#nextAt) return 0;
    if (now > this.#giveUpAt || (this.#proposal !== null && this.#how.retry === false))
      throw new Error(`no agreement of ${this.#replicas} replicas\n${this.#lab.sim.describe()}`);
    this.#proposal = this.#propose();
    this.#nextAt = now + (this.#proposal === null ? PAUSE_MS : PROPOSAL_PATIENCE_MS);
    return 0;
  }

  #propose(): Proposal | null {
    for (const id of this.#lab.ids) {
      const proposal = this.#lab.isConnected(id) ? this.#lab.propose(id, this.#how.bytes) : null;
      if (proposal !== null) return proposal;
    }
    return null;
  }
}
