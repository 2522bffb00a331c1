// Keeps web pages out. eraft has no authentication and listens on loopback by default, where every page that the user's
// browser has open could otherwise write to it: forms and scripts reach 127.0.0.1, and WebSockets know no same-origin rule.
import { isIP } from 'node:net';
import type { FrontRequest } from './front.js';

/**
 * @param loopback - the server listens on a loopback address: then a foreign host name means that somebody's DNS points
 *   at 127.0.0.1 (DNS rebinding)
 * @returns why the request is refused, or undefined
 */
export function forbidden(request: Pick<FrontRequest, 'header'>, loopback: boolean): string | undefined {
  const origin = request.header('origin');
  if (origin !== '') return `requests from web pages are refused (Origin: ${origin.slice(0, 100)})`;
  const name = hostName(request.header('host'));
  if (!loopback || name === '' || name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0)
    return undefined;
  return `a server on a loopback address answers to localhost and IP addresses, not to Host: ${name.slice(0, 100)}`;
}

/** Without the port and the brackets of IPv6. */
function hostName(header: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(header);
  return bracketed?.[1] ?? header.replace(/:\d*$/, '').toLowerCase();
}

/** Whether `host` names this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
