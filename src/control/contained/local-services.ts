/** Services of this machine that the command may call: their connections are relayed, counted, audited and told of. */
import { AUDIT_UNAVAILABLE, AuditSeat } from '../../audit/seat.ts';
import { proxyName } from '../../flows/hub.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { Sandbox } from '../../sandbox/index.ts';
import { type Relayed, relayOut } from '../../sandbox/ports.ts';
import type { LocalMeshHost } from '../local/start.ts';
import type { Calls } from './calls.ts';
import { RelayFlows } from './relay-flows.ts';

export interface LocalServices {
  /** Has the audit take what was told last. */
  flush(): void;
  close(): void;
}

export interface Around {
  readonly identity: ProxyIdentity;
  readonly host: Pick<LocalMeshHost, 'audit' | 'flows'>;
  readonly sandbox: Pick<Sandbox, 'local'>;
  readonly calls: Calls;
}

interface Told {
  readonly calls: Calls;
  readonly relays: RelayFlows;
  readonly seat: AuditSeat | undefined;
}

export async function openLocalServices(
  services: readonly SocketAddress[],
  { identity, host, sandbox, calls }: Around,
): Promise<LocalServices> {
  const seat = host.audit && new AuditSeat(host.audit.seat(identity));
  const relays = new RelayFlows(proxyName(identity), Date.now, seat && ((flow) => seat.tell(flow)));
  host.flows?.register(identity, relays);
  const closing: (() => void)[] = [];
  for (const to of services) {
    for (const { port, handle } of sandbox.local)
      if (port === to.port) closing.push(await relayOut(handle, to, beginning(to, { calls, relays, seat })));
  }
  return {
    flush: () => seat?.flush(),
    close() {
      for (const close of closing) close();
    },
  };
}

const NOTHING = { bytesSent: 0, bytesReceived: 0 };

/** What hears of each connection, and refuses it where nobody could tell of it. */
function beginning(to: SocketAddress, { calls, relays, seat }: Told) {
  const { address: host, port } = to;
  return (client: Relayed['client']) => {
    if (seat?.admits === false) {
      relays.refused(client, to, AUDIT_UNAVAILABLE);
      calls.add({ ...NOTHING, client, verdict: 'refused', host, port, reason: AUDIT_UNAVAILABLE });
      return undefined;
    }
    const tell = relays.began(client, to);
    return (relayed: Relayed) => {
      const { failure, ...counted } = relayed;
      calls.add({ ...counted, verdict: failure ? 'failed' : 'allowed', host, port, reason: failure });
      tell(relayed);
    };
  };
}
