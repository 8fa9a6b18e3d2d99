/**
 * The listener filter of the explicit proxy: finds out where the client wants to go, and makes that the connection's original destination. What comes after
 * it treats the connection as captured traffic to that address and port.
 */

import { isIP } from 'node:net';
import { allowOption } from '../../lib/allow-option.ts';
import { hostPort } from '../../lib/socket-address.ts';
import type { NameIndex } from '../../xds/name-index.ts';
import type { DnsResolver } from '../dns/resolver.ts';
import { type HeldCalls, knownAddress } from '../held-calls.ts';
import type { Observer, TurnedAway } from '../observed.ts';
import type { Address } from '../types.ts';
import { EXPLICIT_PROXY_BOUNDS, heldBounds } from './bounds.ts';
import {
  CONNECT_ESTABLISHED,
  type ExplicitRequest,
  httpReply,
  type ProxyTarget,
  readExplicitRequest,
  SOCKS_REPLY,
  socksReply,
} from './explicit-request.ts';
import type { Inspection, ListenerFilter } from './inspection.ts';

export interface ExplicitProxyDeps {
  /** The name table in force. */
  readonly names: () => NameIndex;
  readonly resolver: DnsResolver;
  readonly log: (message: string) => void;
  /** Hears of calls that end here. */
  readonly turnedAway: (call: TurnedAway) => void;
  /** For a contained command: while it is closed, what nothing declares is refused without being looked up. */
  readonly closed?:
    | {
        readonly isClosed: () => boolean;
        readonly isDeclared: (address: Address) => boolean;
        readonly observer: Observer;
        /** Holds calls while somebody is asked about them. */
        readonly held?: HeldCalls | undefined;
      }
    | undefined;
}

/**
 * Stands for the address of a name that nobody may be asked for, as policy knows no such destination: no service's, and never connected to. What
 * policy does with unknown destinations happens to the connection.
 */
const UNRESOLVED = '0.0.0.0';

type RefusedRequest = Extract<ExplicitRequest, { kind: 'refuse' }>;

export function createExplicitProxy(deps: ExplicitProxyDeps, disabled: (connection: Inspection) => boolean): ListenerFilter {
  const greeted = new WeakSet<Inspection>();

  function inspect(connection: Inspection, resume: (verdict: 'next' | 'close') => void): 'close' | 'more' | 'later' {
    for (;;) {
      const request = readExplicitRequest(connection.ahead.data, greeted.has(connection));
      switch (request.kind) {
        case 'need-more':
          connection.wanted = connection.ahead.length + 1;
          return 'more';
        case 'greeting':
          connection.ahead.drop(request.consumed);
          connection.socket.write(request.reply);
          greeted.add(connection);
          break;
        case 'refuse':
          deps.log(`explicit proxy: refused ${connection.remoteAddress.ip}:${connection.remoteAddress.port}: ${request.reason}`);
          tellRefused(connection, request);
          connection.socket.write(request.reply);
          return 'close';
        default:
          void go(connection, request, resume);
          return 'later';
      }
    }
  }

  /** Of who says no host, the proxy itself is what was called. */
  function tellRefused({ directLocalAddress: { ip, port }, remoteAddress: client }: Inspection, { asked, reason }: RefusedRequest): void {
    const target = asked ?? { host: ip, port };
    if (deps.closed) deps.closed.observer.refused(target, client, 'tcp', reason);
    else deps.turnedAway({ ...target, verdict: 'refused', protocol: 'tcp', client, reason });
  }

  async function go(
    connection: Inspection,
    request: Extract<ExplicitRequest, { target: ProxyTarget }>,
    resume: (verdict: 'next' | 'close') => void,
  ): Promise<void> {
    const { host, port } = request.target;
    connection.asked = host;
    const protocol = request.kind === 'tunnel' ? 'tcp' : 'http';
    const closed = deps.closed?.isClosed() ? deps.closed : undefined;
    if (closed) {
      const declared = knownAddress(host, deps.names());
      const allowed = declared !== undefined && closed.isDeclared({ ip: declared, port });
      // Nothing is waited for where nobody can be asked.
      if (!allowed && !(closed.held && (await closed.held.allows(request.target, connection.remoteAddress)))) {
        closed.observer.refused(request.target, connection.remoteAddress, protocol);
        if (!connection.socket.destroyed) connection.socket.write(refusalReply(request));
        resume('close');
        return;
      }
    }
    const found = await addressOf(host);
    if ('problem' in found) {
      deps.log(`explicit proxy: ${found.problem}`);
      deps.closed?.observer.undeclared(request.target, connection.remoteAddress);
      const undeclared = !deps.names().declares(host);
      deps.turnedAway({ verdict: 'failed', protocol, host, port, client: connection.remoteAddress, reason: found.problem, undeclared });
      if (!connection.socket.destroyed) connection.socket.write(failureReply(request, found.problem));
      resume('close');
      return;
    }
    connection.restore({ ip: found.ip, port });
    if (request.kind === 'tunnel') {
      connection.ahead.drop(request.consumed);
      connection.socket.write(request.protocol === 'socks5' ? socksReply(SOCKS_REPLY.succeeded) : CONNECT_ESTABLISHED);
    } else {
      connection.reenters = true;
    }
    resume('next');
  }

  async function addressOf(host: string): Promise<{ readonly ip: string } | { readonly problem: string }> {
    if (isIP(host) > 0) return { ip: host };
    const known = deps.names().lookup(host);
    if (!known) return { ip: UNRESOLVED };
    if (known[0] !== undefined) {
      deps.closed?.observer.answered(host, [known[0]]);
      return { ip: known[0] };
    }
    const answer = await deps.resolver.resolve(host, 'v4-preferred');
    if (answer.kind === 'found' && answer.ips[0] !== undefined) {
      deps.closed?.observer.answered(host, answer.ips);
      return { ip: answer.ips[0] };
    }
    const why = answer.kind === 'found' ? 'DNS has no address for it' : `DNS does not answer (${answer.reason})`;
    return { problem: `the host ${host} cannot be resolved: no ServiceEntry or Service declares it with an address, and ${why}` };
  }

  return {
    name: 'explicit_proxy',
    mandatory: true,
    bounds: deps.closed?.held ? heldBounds(deps.closed.held.longestMs, EXPLICIT_PROXY_BOUNDS) : EXPLICIT_PROXY_BOUNDS,
    disabled,
    inspect,
  };
}

function failureReply(request: Extract<ExplicitRequest, { target: ProxyTarget }>, problem: string): Buffer {
  if (request.kind === 'tunnel' && request.protocol === 'socks5') return socksReply(SOCKS_REPLY.hostUnreachable);
  return httpReply(502, 'Bad Gateway', `sallyport: ${problem}`);
}

/** What nothing allows, and how to allow it. */
function refusalReply(request: Extract<ExplicitRequest, { target: ProxyTarget }>): Buffer {
  if (request.kind === 'tunnel' && request.protocol === 'socks5') return socksReply(SOCKS_REPLY.notAllowed);
  const { host, port } = request.target;
  const body = `sallyport: refused ${hostPort(host, port)}: not allowed; to allow: ${allowOption(request.target)}`;
  return httpReply(403, 'Forbidden', body, 'x-sallyport-refused: not-allowed\r\n');
}
