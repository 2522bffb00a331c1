// Networks over real sockets, each with a host that notes what it is told.
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../ts/base/clock.js';
import type { Logger } from '../../ts/base/logger.js';
import { PEER_PROTOCOL, type PeerHello } from '../../ts/proto/peer-hello.js';
import { judgeHello } from '../../ts/transport/handshake.js';
import type { NetworkHost } from '../../ts/transport/network.js';
import { TcpNetwork } from '../../ts/transport/tcp-network.js';

const GIVE_UP_MS = 20_000;

export const CLUSTER = 'c'.repeat(32);
export const uidOf = (id: number): string => `00000000000000a${id}`;

export interface Note {
  readonly what: 'hello' | 'connected' | 'refused' | 'frame';
  readonly id: number;
  readonly value: unknown;
}

/** Judges as a replica does, and notes everything. */
export class NotingHost implements NetworkHost {
  readonly notes: Note[] = [];
  readonly members = new Map<number, string | null>();
  readonly #news = new EventEmitter();
  readonly own: PeerHello;

  constructor(id: number, more: Partial<PeerHello> = {}) {
    this.own = {
      ...PEER_PROTOCOL,
      cluster: CLUSTER,
      replica: id,
      uid: uidOf(id),
      to: 0,
      clientAddress: `client-${id}`,
      peerAddress: '',
      blank: false,
      knownUid: null,
      refused: '',
      term: 0,
      damaged: false,
      frameBytesMax: 1000,
      ...more,
    };
    for (const member of [1, 2, 3]) this.members.set(member, null);
  }

  hello(to: number): PeerHello {
    return { ...this.own, to };
  }

  judge(theirs: PeerHello, dialled: number | null): string | null {
    const { cluster, replica, uid } = this.own;
    return judgeHello({ cluster, replica, uid, memberUid: (id) => this.members.get(id) }, theirs, dialled);
  }

  onHello(theirs: PeerHello): void {
    this.#note({ what: 'hello', id: theirs.replica, value: theirs });
  }

  onConnected(id: number, connected: boolean): void {
    this.#note({ what: 'connected', id, value: connected });
  }

  onRefused(id: number, by: 'us' | 'them', why: string): void {
    this.#note({ what: 'refused', id, value: `${by} ${why}` });
  }

  onFrame(from: number, kind: number, head: Uint8Array, tail: Uint8Array): void {
    this.#note({ what: 'frame', id: from, value: { kind, head: head.slice(), tail: Buffer.from(tail).toString() } });
  }

  /** The first note, of those there are or the next ones, that `is` true of. What never comes ends the test. */
  async until(is: (note: Note) => boolean): Promise<Note> {
    const signal = AbortSignal.timeout(GIVE_UP_MS);
    for (;;) {
      const found = this.notes.find(is);
      if (found !== undefined) return found;
      await once(this.#news, 'note', { signal });
    }
  }

  connected(id: number): Promise<Note> {
    return this.until((n) => n.what === 'connected' && n.id === id && n.value === true);
  }

  refused(code: string): Promise<Note> {
    return this.until((n) => n.what === 'refused' && String(n.value).includes(code));
  }

  #note(note: Note): void {
    this.notes.push(note);
    this.#news.emit('note');
  }
}

export class NotingLogger implements Logger {
  readonly lines: string[] = [];
  debug(): void {}
  info(): void {}
  warn(message: string): void {
    this.lines.push(message);
  }
  error(message: string): void {
    this.lines.push(message);
  }
}

export interface Place {
  readonly network: TcpNetwork;
  readonly host: NotingHost;
  readonly logger: NotingLogger;
}

/** A network for replica `id` on a port of the system's choice, not started. */
export function place(id: number, host = new NotingHost(id), queueBytesMax = 1 << 20): Place {
  const logger = new NotingLogger();
  const nobody = new Map([1, 2, 3].map((peer) => [peer, '127.0.0.1:1'] as const)); // refuses: real addresses follow
  const clock = systemClock({ keepAlive: true });
  const options = { id, listen: '127.0.0.1:0', peers: nobody, clock, random: () => 0.5, logger, queueBytesMax };
  return { network: new TcpNetwork({ ...options, keepAlive: true, pingMs: 50 }), host, logger };
}

/** Starts all of them and tells them of each other. */
export async function meet(...places: readonly Place[]): Promise<void> {
  for (const { network, host } of places) await network.start(host);
  for (const a of places) {
    for (const b of places) if (a !== b) a.network.setAddress(b.host.own.replica, `127.0.0.1:${b.network.port}`);
  }
}

export async function closeAll(...places: readonly Place[]): Promise<void> {
  await Promise.all(places.map(({ network }) => network.close()));
}

/** A bare connection to a network's port. */
export async function dial(to: TcpNetwork): Promise<Socket> {
  const socket = connect(to.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** A server that stands where a replica should, and does what `onSocket` says. */
export async function impostor(onSocket: (socket: Socket) => void): Promise<{ server: Server; address: string }> {
  const server = createServer((socket) => {
    socket.unref();
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, address: `127.0.0.1:${address.port}` };
}
