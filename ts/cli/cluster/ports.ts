// Which ports the replicas of a local cluster use.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** `count` ports from `base` on; for base 0 free ones, chosen by the system. */
export async function choosePorts(base: number, count: number): Promise<number[]> {
  if (base !== 0) return Array.from({ length: count }, (_, i) => base + i);
  // All are held at once, so that no two are the same.
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
