// Where replicas listen for clients.
import { EraftError } from '../base/errors.js';

/** The path of the binary protocol. */
export const SOCKET_PATH = '/v1/ws';

/**
 * Reads 'host:port,host:port' or a list of such, without repetitions. IPv6 addresses stand in brackets.
 *
 * @throws TypeError; ERAFT_CONFIG for what is not host:port
 */
export function parseEndpoints(endpoints: string | readonly string[]): string[] {
  const isList = Array.isArray(endpoints) && endpoints.every((endpoint) => typeof endpoint === 'string');
  if (typeof endpoints !== 'string' && !isList)
    throw new TypeError('endpoints must be a string or an array of strings');
  const parts = (typeof endpoints === 'string' ? [endpoints] : endpoints).flatMap((part) => part.split(','));
  const found = new Set<string>();
  for (const part of parts) found.add(parseEndpoint(part.trim()));
  if (found.size === 0) throw new EraftError('ERAFT_CONFIG', 'no endpoints: write host:port of at least one replica');
  return [...found];
}

function parseEndpoint(text: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/?#@[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) {
    throw new EraftError(
      'ERAFT_CONFIG',
      `'${text}' is not an endpoint: write host:port, as in 127.0.0.1:2460 or [::1]:2460`,
    );
  }
  return text;
}

/** True for an address that a replica advertised and a client can dial. */
export function isEndpoint(text: string): boolean {
  try {
    return parseEndpoint(text) === text;
  } catch {
    return false;
  }
}
