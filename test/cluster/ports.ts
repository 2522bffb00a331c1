// Ports for replicas of tests that are stopped and started again, and have to find their port free each time.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const FIRST = 10_000;
/** What one process may take; neighbours by process id never share any. */
const OF_A_PROCESS = 128;

let taken = 0;

/**
 * A free port, never the same twice within a process, nor one of another test process that runs beside this one, nor one
 * that the system would give to an outgoing connection while its replica is down.
 */
export async function freePort(): Promise<number> {
  const slices = Math.floor((firstOutgoing() - FIRST) / OF_A_PROCESS);
  const first = FIRST + (process.pid % slices) * OF_A_PROCESS;
  while (taken < OF_A_PROCESS) {
    const port = first + taken++;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port is left from ${first} on`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = new Promise<boolean>((resolve) => {
    server.once('listening', () => resolve(true)).once('error', () => resolve(false));
  });
  server.listen({ port, host: '127.0.0.1', exclusive: true });
  if (!(await free)) return false;
  await once(server.close(), 'close');
  return true;
}

/** Where the range begins from which the system takes the ports of outgoing connections. */
function firstOutgoing(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    return 32_768;
  }
}
