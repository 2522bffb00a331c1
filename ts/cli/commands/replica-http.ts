// What commands ask of one certain replica, over HTTP: an answer, or the error that it names.
import { EraftError, isErrorCode } from '../../base/errors.js';

interface Problem {
  readonly code?: unknown;
  readonly message?: unknown;
}

/** @throws EraftError as the replica says it; ERAFT_UNAVAILABLE when it cannot be reached */
export async function requestReplica(
  address: string,
  method: 'GET' | 'POST',
  path: string,
  signal: AbortSignal,
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`http://${address}${path}`, { method, signal });
  } catch (cause) {
    const { message } = ((cause as Error).cause as Error | undefined) ?? (cause as Error);
    throw new EraftError('ERAFT_UNAVAILABLE', `cannot reach replica ${address}: ${message}`, { cause });
  }
  if (answer.ok) return answer;
  const body = (await answer.json().catch(() => ({}))) as Problem;
  const code = isErrorCode(body.code) ? body.code : 'ERAFT_UNAVAILABLE';
  throw new EraftError(code, `${address}: ${String(body.message ?? `HTTP ${answer.status}`)}`);
}
