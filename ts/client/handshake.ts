// How a WebSocket begins (RFC 6455, section 4): one HTTP request, one answer.
import { createHash } from 'node:crypto';
import { WebSocketViolation } from './message-reader.js';

export const RESPONSE_BYTES_MAX = 16 * 1024;
export const HEAD_END = '\r\n\r\n';

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** @param key - 16 random bytes in base64 */
export function requestOf(address: string, path: string, key: string): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${address}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
  ];
  return lines.join('\r\n') + HEAD_END;
}

/** @param head - the answer up to its empty line. @throws WebSocketViolation when it is not that of a WebSocket server to this key */
export function checkResponse(head: string, key: string): void {
  const [status = '', ...lines] = head.split('\r\n');
  const code = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(status)?.[1];
  if (code === undefined) throw refused('it does not speak HTTP');
  if (code !== '101') throw refused(`it answers with HTTP status ${code}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const upgrades = headers.get('upgrade')?.toLowerCase() === 'websocket';
  const connection = headers
    .get('connection')
    ?.toLowerCase()
    .split(/\s*,\s*/);
  if (!upgrades || connection?.includes('upgrade') !== true) throw refused('it does not upgrade');
  const accept = createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64');
  if (headers.get('sec-websocket-accept') !== accept) throw refused('its Sec-WebSocket-Accept is wrong');
  if (headers.has('sec-websocket-extensions') || headers.has('sec-websocket-protocol'))
    throw refused('it chose an extension or subprotocol that was not offered');
}

function refused(why: string): WebSocketViolation {
  return new WebSocketViolation(1002, `no WebSocket there: ${why}`);
}
