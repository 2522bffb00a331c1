import { EraftError } from '../base/errors.js';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[v6]:port`. @throws EraftError ERAFT_CONFIG */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || !(port <= 65_535)) {
    throw new EraftError('ERAFT_CONFIG', `${JSON.stringify(text)} is no address: give host:port, as in 127.0.0.1:2470`);
  }
  return { host, port };
}
