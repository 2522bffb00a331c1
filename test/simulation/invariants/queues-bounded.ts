import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

const SLACK_BYTES = 8 * 1024 * 1024; // a limit is met by the one that passes it

/**
 * Nothing grows without a bound: requests held, bytes on their way to a follower or to the disk, results and answers.
 *
 * Source: docs/limits.md; etcd-io/raft `MaxInflightMsgs`, `MaxUncommittedEntriesSize`.
 */
export class QueuesBounded implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  looked({ id, node, raft, host, bounds }: Replica): void {
    if (node === null || raft === null || host === null) return;
    const { proposalsInFlight, readsWaiting, framesWaitingForLeader, forwardsPending } = node.service.gauges;
    const { queuedBytes, resultsBytes, answersBytes } = host.progress;
    const measured = [
      ['proposals in flight', proposalsInFlight, bounds.proposalFramesMax],
      ['reads waiting', readsWaiting, bounds.readFramesMax],
      ['frames waiting for a leader', framesWaitingForLeader, bounds.waitingFramesMax],
      ['forwards', forwardsPending, bounds.forwardFramesMax],
      ['bytes queued for the disk', queuedBytes, bounds.queueBytesMax + SLACK_BYTES],
      ['bytes of results', resultsBytes, bounds.resultsBytesMax + SLACK_BYTES],
      ['bytes of answers', answersBytes, bounds.answersBytesMax + SLACK_BYTES],
    ] as const;
    for (const [what, value, most] of measured) {
      if (value > most) this.#world.fail('QueuesBounded', `${id} has ${value} ${what}, at most ${most} are allowed`);
    }
    for (const { id: to, inflightMessages } of raft.progress()) {
      if (inflightMessages > bounds.inflightMessagesMax)
        this.#world.fail('QueuesBounded', `${id} has ${inflightMessages} messages on their way to ${to}`);
    }
  }
}
