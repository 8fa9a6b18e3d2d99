/**
 * How a call ends whose way is known: bytes may reach a server that can't read them, an address at which nothing is, or a gateway that closes the
 * connection, of which an application that spoke HTTP sees its own sidecar's 503. `verify` and `diff` judge ways alone: what gets out has got out.
 */
import { cidrCovers } from '../lib/ip.ts';
import { PLAIN_STARTS } from '../lib/plain-start.ts';
import type { Payload } from '../simulate/call.ts';
import type { OriginatedTls } from '../simulate/security.ts';
import type { Trace } from '../simulate/trace.ts';

export interface Ending {
  /** What the application sees: a status of its own sidecar, or a connection that fails. */
  readonly status: number | undefined;
  /** A sentence. */
  readonly because: string;
}

/** From which addresses are allocated: nothing in the world has one of them. */
const ALLOCATED = ['240.240.0.0/16', '2001:2::/64'];

/** Whether the mesh made the address up: it stands for a host, and another one may stand for the host tomorrow. */
export function isAllocated(ip: string): boolean {
  return ALLOCATED.some((range) => cidrCovers(range, ip));
}

/**
 * Undefined where the trace's outcome is what the application sees, or nobody knows. `sent` is what it sends, `mayHaveIdentity`: whether a
 * cluster's server at an address (undefined: known by its name alone) may be one of the mesh, though no workload here is it.
 */
export function endingOf(
  sent: Payload,
  { hops, outcome }: Trace,
  mayHaveIdentity: (cluster: string, ip: string | undefined) => boolean = () => false,
): Ending | undefined {
  const silent = hops[0]?.waitsOn;
  const known = silent === undefined ? undefined : PLAIN_STARTS.get(silent);
  if (known?.serverFirst)
    return {
      status: undefined,
      because: `in ${known.protocol} on port ${silent} the server speaks first, and ${hops[0]!.proxy} waits for the client's first bytes to tell what they are: the connection hangs`,
    };
  const speaksHttp = hops.some(({ protocol, next }, i) => protocol === 'http' && next !== undefined && i === 0);
  const failed = speaksHttp ? 503 : undefined;
  if (outcome.kind === 'closed' && speaksHttp) return { status: 503, because: outcome.details };
  const { wrapper, outermost } = tlsLayers(sent, hops);
  if (outcome.kind === 'reply' && wrapper) {
    const because = `${wrapper} puts the application's TLS into TLS of its own, and the answer comes in plain where the application waits for a TLS greeting: its handshake fails`;
    return { status: undefined, because };
  }
  if (outcome.kind !== 'upstream') return undefined;
  const { endpoint, port, payload } = outcome;
  if (outermost?.originates.verifies === 'mesh') {
    if (mayHaveIdentity(outermost.cluster, endpoint?.ip)) return undefined;
    const because = 'no server outside the mesh has an identity of it: the handshake of its mutual TLS fails';
    return {
      status: failed,
      because:
        outermost.originates === hops.at(-1)?.next?.originates
          ? because
          : `${outermost.proxy} speaks mutual TLS, which no gateway ends: ${because}`,
    };
  }
  if (wrapper && outermost) {
    const because = `${wrapper} puts the application's TLS into TLS of its own, and the server finds a TLS greeting where it looks for a request: it closes the connection, and the application's handshake fails`;
    return { status: undefined, because };
  }
  if (endpoint && isAllocated(endpoint.ip))
    return {
      status: failed,
      because: `${endpoint.ip} is an address that was allocated to stand for a host, and nothing is there: the port is not declared`,
    };
  if (outermost && port === 80)
    return {
      status: failed,
      because: 'port 80 of a server speaks plain HTTP, and TLS is originated to it: the handshake fails (WRONG_VERSION_NUMBER)',
    };
  if (payload.http && !payload.tls && port === 443)
    return { status: 400, because: 'port 443 of a server takes TLS alone, and this is plain HTTP: it is refused' };
  return undefined;
}

interface Layer {
  readonly proxy: string;
  readonly cluster: string;
  readonly originates: OriginatedTls;
}

interface TlsLayers {
  /** The proxy that put TLS which is still the application's into TLS of its own, whoever took it out again. */
  readonly wrapper: string | undefined;
  /** What the server at the end finds first, if a proxy put it there: a gateway that passes TLS on leaves that of a sidecar. */
  readonly outermost: Layer | undefined;
}

/** Which TLS is around a call at the end of its way. */
export function tlsLayers({ tls }: Payload, hops: Trace['hops']): TlsLayers {
  // From the outside in.
  const layers: (Layer | 'application')[] = tls === undefined ? [] : ['application'];
  let wrapper: string | undefined;
  for (const { proxy, cluster, steps, next } of hops) {
    if (steps.some(({ kind, text }) => kind === 'tls' && text.endsWith('ends here'))) layers.shift();
    if (next?.originates === undefined) continue;
    if (layers.at(-1) === 'application') wrapper = proxy;
    layers.unshift({ proxy, cluster, originates: next.originates });
  }
  const [first] = layers;
  return {
    wrapper: layers.at(-1) === 'application' ? wrapper : undefined,
    outermost: first === 'application' ? undefined : first,
  };
}
