/** Thrown when this replica, or a peer, has done what the protocol rules out. The host stops the replica: halt, not lie. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Refuses to go on when `holds` is false.
 *
 * The numbers are passed one by one, so that a claim that holds costs a comparison and no allocation.
 *
 * @param claim - what should be true, naming the numbers in their order
 * @throws InvariantError with the claim and its numbers
 */
export function invariant(holds: boolean, claim: string, a?: number, b?: number, c?: number): asserts holds {
  if (!holds) fail(claim, a, b, c);
}

function fail(claim: string, ...numbers: (number | undefined)[]): never {
  const told = numbers.filter((n) => n !== undefined).join(', ');
  throw new InvariantError(told === '' ? `broken: ${claim}` : `broken: ${claim} (${told})`);
}

/** For the `default` of a switch: a case that is forgotten does not compile. */
export function unreachable(value: never): never {
  throw new InvariantError(`broken: no such case (${JSON.stringify(value)})`);
}
