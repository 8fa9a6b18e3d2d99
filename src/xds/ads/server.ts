/** The gRPC side of the protocol: Envoy's discovery services, whose messages pass as bytes. */
import type { PeerCertificate } from 'node:tls';
import { logVerbosity, Metadata, Server, type ServerCredentials, type ServerDuplexStream, setLogVerbosity, status } from '@grpc/grpc-js';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { listenError } from '../../lib/listen.ts';
import { hostPort, type SocketAddress } from '../../lib/socket-address.ts';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import type { ResourceType } from '../resources.ts';
import { streamingMethods } from './methods.ts';
import { AdsStream } from './stream.ts';
import type { Protocol, Refusal } from './subscription.ts';
import { Turns } from './turns.ts';

/** Whoever opened a stream. */
export interface Peer {
  /** `address:port` */
  readonly address: string;
  /** Of a client that proved that it has its key, and whose issuer is trusted. */
  readonly certificate: PeerCertificate | undefined;
  /** What stands in `authorization` in the call's metadata. */
  readonly authorization: string | undefined;
}

/** Whoever opened a stream, as far as that was asked. */
export interface Client {
  /** `address:port` */
  readonly address: string;
  /** The SPIFFE ID that it proved; undefined where nobody has to prove one. */
  readonly identity: string | undefined;
}

/** A stream whose node was admitted. */
export interface Admitted {
  refused(type: ResourceType | undefined, refusal: Refusal): void;
  left(): void;
}

export interface AdsServerOptions {
  readonly listen: SocketAddress;
  /** The option of the command line that chooses the port. */
  readonly option: string;
  readonly credentials: ServerCredentials;
  /** Connections end after so long, ms: whoever comes back proves anew who it is. Undefined: they stay. */
  readonly mostAgeMs?: number;
  /** The SPIFFE ID of whoever calls, before a message of theirs is looked at. Throws `xds-unauthenticated` or `xds-too-much`. Undefined: nobody is asked. */
  readonly identify?: ((peer: Peer) => string) | undefined;
  /** Throws `xds-invalid-node`, `xds-forbidden` or `xds-unavailable`; else it has the stream serve what the node's proxy is to run. */
  readonly admit: (node: Node, client: Client, stream: AdsStream) => Admitted;
  /** Adds what else is served at the port. */
  readonly more?: ((server: Server) => void) | undefined;
}

export interface AdsServer {
  readonly port: number;
  /** Takes no new streams and ends those that there are, so that clients go elsewhere; resolves when they are gone, or after so many ms. */
  close(graceMs: number): Promise<void>;
}

/** By service: its type, and the names of its methods. */
const SERVICES: Readonly<Record<string, { readonly type: ResourceType | undefined; readonly sotw: string; readonly delta: string }>> = {
  'discovery.v3.AggregatedDiscoveryService': { type: undefined, sotw: 'StreamAggregatedResources', delta: 'DeltaAggregatedResources' },
  'cluster.v3.ClusterDiscoveryService': { type: 'cluster', sotw: 'StreamClusters', delta: 'DeltaClusters' },
  'endpoint.v3.EndpointDiscoveryService': { type: 'endpoint', sotw: 'StreamEndpoints', delta: 'DeltaEndpoints' },
  'listener.v3.ListenerDiscoveryService': { type: 'listener', sotw: 'StreamListeners', delta: 'DeltaListeners' },
  'route.v3.RouteDiscoveryService': { type: 'route', sotw: 'StreamRoutes', delta: 'DeltaRoutes' },
  'secret.v3.SecretDiscoveryService': { type: 'secret', sotw: 'StreamSecrets', delta: 'DeltaSecrets' },
};

/** Bounds, so that neither a silent nor a busy client holds more than its part. */
const BOUNDS = {
  'grpc.keepalive_time_ms': 30_000,
  /** A client that reads slowly has what is on its way before the ping to read. */
  'grpc.keepalive_timeout_ms': 60_000,
  /** A connection without streams. */
  'grpc.max_connection_idle_ms': 60_000,
  /** Of one request: 10,000 names with their versions are about 1 MB. */
  'grpc.max_receive_message_length': 8 * 1024 * 1024,
  'grpc.max_send_message_length': -1,
  /** Of one connection. */
  'grpc.max_concurrent_streams': 100,
  'grpc.enable_channelz': 0,
};
/** Of responses that are being written. */
const TURNS = { most: 16, patienceMs: 1000 };
/** From the beginning of a stream to its first request. */
const FIRST_REQUEST_MS = 30_000;

const STATUS: Readonly<Record<string, status>> = {
  'xds-invalid-request': status.INVALID_ARGUMENT,
  'xds-invalid-node': status.INVALID_ARGUMENT,
  'xds-forbidden': status.PERMISSION_DENIED,
  'xds-too-much': status.RESOURCE_EXHAUSTED,
  'xds-unauthenticated': status.UNAUTHENTICATED,
  'xds-unavailable': status.UNAVAILABLE,
};

/** Rejects as `listening`. */
export async function startAdsServer({
  listen,
  option,
  credentials,
  mostAgeMs,
  identify,
  admit,
  more,
}: AdsServerOptions): Promise<AdsServer> {
  // What it would write to stderr is said in errors of ours.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(
    mostAgeMs === undefined ? BOUNDS : { ...BOUNDS, 'grpc.max_connection_age_ms': mostAgeMs, 'grpc.max_connection_age_grace_ms': 1000 },
  );
  const open = new Set<Call>();
  const turns = new Turns(TURNS);
  for (const [name, { type, sotw, delta }] of Object.entries(SERVICES)) {
    const service = `envoy.service.${name}`;
    const handle = (protocol: Protocol) => (call: Call) => {
      open.add(call);
      call.on('close', () => open.delete(call));
      serveCall(call, { protocol, type, identify, admit, turns });
    };
    server.addService(streamingMethods(service, [sotw, delta]), { [sotw]: handle('sotw'), [delta]: handle('delta') });
  }
  more?.(server);
  const port = await bound(server, listen, option, credentials);
  return {
    port,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      for (const call of open) end(call, status.UNAVAILABLE, 'the control plane is ending');
      const late = setTimeout(() => server.forceShutdown(), graceMs);
      await closed;
      clearTimeout(late);
    },
  };
}

type Call = ServerDuplexStream<Buffer, Uint8Array>;

function bound(server: Server, { address, port }: SocketAddress, option: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(hostPort(address, port), credentials, (error, actual) => {
      if (error) reject(listenError(withCode(error), { ip: address, port }, { what: 'cannot serve xDS', option }));
      else resolve(actual);
    });
  });
}

/** The library puts the system's error into the text of its own. */
function withCode(error: Error): unknown {
  const code = /\bE[A-Z]{4,}\b/.exec(error.message)?.[0];
  return code === undefined ? error : Object.assign(new Error(error.message), { code });
}

interface CallOptions extends Pick<AdsServerOptions, 'identify' | 'admit'> {
  readonly protocol: Protocol;
  readonly type: ResourceType | undefined;
  readonly turns: Turns;
}

function serveCall(call: Call, { protocol, type, identify, admit, turns }: CallOptions): void {
  let client: Client;
  try {
    const peer = peerOf(call);
    client = { address: peer.address, identity: identify?.(peer) };
  } catch (error) {
    end(call, statusOf(error), messageOf(error));
    return;
  }
  let admitted: Admitted | undefined;
  let woken = false;
  let endTurn = () => {};
  let over = false;
  const silent = setTimeout(() => finish(status.DEADLINE_EXCEEDED, 'no request came'), FIRST_REQUEST_MS);
  const stream: AdsStream = new AdsStream({
    protocol,
    type,
    admit: (node) => {
      clearTimeout(silent);
      admitted = admit(node, client, stream);
      // There may be nothing to send for long: the client is to know that it is heard.
      call.sendMetadata(new Metadata());
    },
    write: (response) =>
      call.write(response, () => {
        endTurn();
        stream.written();
      }),
    wake: () => {
      if (woken) return;
      woken = true;
      turns.wait((end) => {
        woken = false;
        const before = endTurn;
        endTurn = end;
        if (!over && stream.push()) return;
        // It may still be written to, in a turn before this one.
        endTurn = before;
        end();
      });
    },
    refused: (type, refusal) => admitted?.refused(type, refusal),
    end: (error) => fail(error),
  });
  const leave = () => {
    if (over) return;
    over = true;
    clearTimeout(silent);
    admitted?.left();
  };
  const finish = (code: status, details: string) => {
    leave();
    end(call, code, details);
  };
  const fail = (error: unknown) => finish(statusOf(error), messageOf(error));
  call.on('data', (bytes: Buffer) => {
    if (over) return;
    try {
      stream.request(bytes);
    } catch (error) {
      fail(error);
    }
  });
  call.on('end', () => {
    leave();
    call.end();
  });
  call.on('error', leave);
  call.on('cancelled', leave);
  call.on('close', leave);
}

function end(call: Call, code: status, details: string): void {
  call.emit('error', { code, details });
}

export function statusOf(error: unknown): status {
  return STATUS[codeOf(error) ?? ''] ?? status.INTERNAL;
}

export function peerOf(call: Pick<Call, 'getAuthContext' | 'getPeer' | 'metadata'>): Peer {
  const { sslPeerCertificate: certificate } = call.getAuthContext();
  // Which of several counts is not ours to choose.
  const [authorization, ...others] = call.metadata.get('authorization');
  return {
    address: call.getPeer(),
    certificate: certificate && 'raw' in certificate ? certificate : undefined,
    authorization: typeof authorization === 'string' && others.length === 0 ? authorization : undefined,
  };
}
