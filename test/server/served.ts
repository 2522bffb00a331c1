// A real replica behind a real server, in a folder of its own.
import { ReplicaNode } from '../../ts/kv/replica.js';
import type { FrontKind } from '../../ts/server/front.js';
import { Server, type ServerLimits } from '../../ts/server/server.js';
import { withFolder } from '../embed/folder.js';

export interface Served {
  readonly dir: string;
  readonly server: Server;
  readonly replica: ReplicaNode;
}

/** Opens a single replica and a server in front of it, runs `body`, and leaves nothing behind. */
export async function withServed(
  kind: FrontKind,
  body: (served: Served) => Promise<void>,
  limits: Partial<ServerLimits> = {},
): Promise<void> {
  await withFolder(async (dir) => {
    const served = await serve(kind, dir, limits);
    try {
      await body(served);
    } finally {
      await stop(served);
    }
  });
}

/** port 0: any. */
export async function serve(
  kind: FrontKind,
  dir: string,
  limits: Partial<ServerLimits> = {},
  port = 0,
): Promise<Served> {
  const server = await Server.listen({ server: kind, limits, port });
  const replica = await ReplicaNode.open({ dir, clientAddress: server.address });
  server.serve(replica);
  await replica.ready(10_000);
  return { dir, server, replica };
}

export async function stop({ server, replica }: Served): Promise<void> {
  await server.close();
  await replica.close();
}
