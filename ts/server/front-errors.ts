// The errors that both fronts share.
import { EraftError } from '../base/errors.js';

/** cause: the error of the operating system, its `code` decides. */
export function cannotListen(host: string, port: number, cause: Error): EraftError {
  const reason = (cause as NodeJS.ErrnoException).code ?? cause.message;
  if (reason === 'EADDRINUSE') {
    return new EraftError(
      'ERAFT_PORT_IN_USE',
      `cannot listen on ${host}:${port}: the port is in use\n` +
        '  why:  another process, perhaps another eraft, already accepts connections there\n' +
        `  do:   stop it (find it with: ss -ltnp 'sport = :${port}'), or choose another port; 0 lets the system choose`,
      { cause },
    );
  }
  const why =
    reason === 'EACCES'
      ? 'ports below 1024 need a privilege that this process does not have'
      : reason === 'EADDRNOTAVAIL' || reason === 'ENOTFOUND' || reason === 'EAI_AGAIN'
        ? 'the address does not belong to this machine'
        : `the operating system refused: ${reason}`;
  return new EraftError(
    'ERAFT_IO',
    `cannot listen on ${host}:${port}\n  why:  ${why}\n  do:   choose another address to listen on`,
    { cause },
  );
}

export function bodyTooLarge(bytes: number, bytesMax: number): EraftError {
  return new EraftError('ERAFT_FRAME_TOO_LARGE', `the request body is larger than ${bytesMax} bytes`, {
    bytes,
    bytesMax,
  });
}

/** Nobody is left to tell: the handler only has to stop. */
export function peerLeft(cause?: unknown): EraftError {
  return new EraftError('ERAFT_ABORTED', 'the peer left before the request was complete', {
    cause,
    outcome: 'not-applied',
  });
}
