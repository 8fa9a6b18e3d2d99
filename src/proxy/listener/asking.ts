/** The listener filter that holds captured connections which nothing allows while somebody is asked. Then they go on as everything does: where they are still not allowed, they are refused as ever. */

import { knownAddress } from '../held-calls.ts';
import { heldBounds } from './bounds.ts';
import type { ExplicitProxyDeps } from './explicit-proxy.ts';
import type { Inspection, ListenerFilter } from './inspection.ts';

/** Undefined where nobody can be asked. */
export function createAsking({ closed, names }: Pick<ExplicitProxyDeps, 'closed' | 'names'>): ListenerFilter | undefined {
  const held = closed?.held;
  if (!held) return undefined;

  function lead(connection: Inspection, host: string): void {
    const ip = knownAddress(host, names());
    if (ip === undefined) return;
    connection.asked = host;
    connection.restore({ ip, port: connection.localAddress.port });
  }

  return {
    name: 'asking',
    mandatory: true,
    bounds: heldBounds(held.longestMs),
    disabled: ({ localAddressRestored }) => !localAddressRestored || !closed.isClosed(),
    inspect(connection, resume) {
      const { ip, port } = connection.localAddress;
      const host = held.hostAt(ip);
      const known = knownAddress(host, names());
      if (known !== undefined && closed.isDeclared({ ip: known, port })) {
        lead(connection, host);
        return 'next';
      }
      void held.allows({ host, port }, connection.remoteAddress).then((allowed) => {
        if (allowed) lead(connection, host);
        resume(connection.socket.destroyed ? 'close' : 'next');
      });
      return 'later';
    },
  };
}
