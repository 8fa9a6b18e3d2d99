/** What the integration tests of the data plane share: xDS from JSON, sockets of clients and servers, and what a log held. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { create, type DescMessage, fromJson, type JsonObject, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { createDataPlane, type DataPlane, type DataPlaneOptions } from '../../../src/proxy/dataplane.ts';
import { ClusterSchema } from '../../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../../src/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../../../src/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../../../src/xds/gen/istio/nds_pb.js';
import type { XdsAck, XdsResources } from '../../../src/xds/resources.ts';
import { typeRegistry } from '../../../src/xds/type-registry.ts';
import { EMPTY_SET, type EncodedSet, encodeSet, updateBetween } from '../../../src/xds/update.ts';

export interface XdsJson {
  listeners?: JsonObject[];
  routes?: JsonObject[];
  clusters?: JsonObject[];
  endpoints?: JsonObject[];
  secrets?: JsonObject[];
  names?: Record<string, string[]>;
}

function list<Desc extends DescMessage>(schema: Desc, values: readonly JsonObject[] | undefined): MessageShape<Desc>[] {
  return (values ?? []).map((value) => fromJson(schema, value, { registry: typeRegistry }));
}

export function resources(json: XdsJson): XdsResources {
  const table = Object.fromEntries(Object.entries(json.names ?? {}).map(([name, ips]) => [name, { ips, registry: 'External' }]));
  return {
    listeners: list(ListenerSchema, json.listeners),
    routes: list(RouteConfigurationSchema, json.routes),
    clusters: list(ClusterSchema, json.clusters),
    endpoints: list(ClusterLoadAssignmentSchema, json.endpoints),
    secrets: list(SecretSchema, json.secrets),
    nameTable: create(NameTableSchema, { table } as never),
  };
}

export interface Plane {
  readonly plane: DataPlane;
  /** Makes this the whole configuration. */
  set(json: XdsJson): Promise<XdsAck>;
  /** The port of a listener. */
  port(listener: string): number;
  /** Lines that were logged. */
  readonly lines: string[];
}

/** A data plane that ends with the test. */
export async function dataPlane(t: TestContext, options: Partial<DataPlaneOptions> = {}): Promise<Plane> {
  const lines: string[] = [];
  const plane = await createDataPlane({ log: (level, message) => lines.push(`${level} ${message}`), environment: {}, ...options });
  t.after(() => plane.close());
  let before: EncodedSet = EMPTY_SET;
  return {
    plane,
    lines,
    async set(json) {
      const after = encodeSet(resources(json));
      const update = updateBetween(before, after);
      if (!update) throw new Error('the update changes nothing');
      before = after;
      return plane.apply(update);
    },
    port(listener) {
      const port = plane.status().listeners.find(({ name }) => name === listener)?.addresses[0]?.port;
      if (port === undefined) throw new Error(`no listener ${listener}`);
      return port;
    },
  };
}

export const TYPE = 'type.googleapis.com/';

export function typed(type: string, value: JsonObject = {}): JsonObject {
  return { '@type': `${TYPE}${type}`, ...value };
}

export function tcpProxy(cluster: string, more: JsonObject = {}): JsonObject {
  return {
    name: 'tcp',
    typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 't', cluster, ...more }),
  };
}

export function socketAddress(port: number, address = '127.0.0.1'): JsonObject {
  return { socketAddress: { address, portValue: port } };
}

export function listenerFilter(name: string, type: string, more: JsonObject = {}): JsonObject {
  return { name, typedConfig: typed(type), ...more };
}

export const TLS_INSPECTOR = listenerFilter('tls', 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector');
export const HTTP_INSPECTOR = listenerFilter('http', 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector');

export function listener(name: string, filterChains: JsonObject[], more: JsonObject = {}): JsonObject {
  return { name, address: socketAddress(0), filterChains, ...more };
}

export function cluster(name: string, ports: readonly number[], more: JsonObject = {}): JsonObject {
  return {
    name,
    type: 'STATIC',
    connectTimeout: '5s',
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: ports.map((port) => ({ endpoint: { address: socketAddress(port) } })) }],
    },
    ...more,
  };
}

/** An access log of one JSON line a connection, in a file. */
export function accessLog(path: string): JsonValue {
  const jsonFormat = {
    cluster: '%UPSTREAM_CLUSTER%',
    flags: '%RESPONSE_FLAGS%',
    received: '%BYTES_RECEIVED%',
    sent: '%BYTES_SENT%',
    reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
    host: '%UPSTREAM_HOST%',
    sni: '%REQUESTED_SERVER_NAME%',
    details: '%RESPONSE_CODE_DETAILS%',
    termination: '%CONNECTION_TERMINATION_DETAILS%',
    local: '%DOWNSTREAM_LOCAL_ADDRESS%',
  };
  return [
    { name: 'file', typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path, logFormat: { jsonFormat } }) },
  ];
}

/** The lines of an access log, once there are so many. */
export async function logged({ plane }: Pick<Plane, 'plane'>, path: string, count: number): Promise<Record<string, unknown>[]> {
  for (;;) {
    await plane.reopenLogs();
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    if (lines.length >= count) return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A folder that goes with the test. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export async function server(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const made: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  const sockets = new Set<Socket>();
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(() => {
    made.close();
    for (const socket of sockets) socket.destroy();
  });
  return (made.address() as AddressInfo).port;
}

/** Sends back what it gets, and ends when the other side does. */
export function echoServer(t: TestContext): Promise<number> {
  return server(t, (socket) => {
    socket.on('data', (data: Buffer) => socket.write(data));
    socket.on('end', () => socket.end());
  });
}

export async function client(t: TestContext, port: number, options: Partial<NetConnectOpts> = {}): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...options } as NetConnectOpts);
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Everything until the other side ends or the connection closes. */
export function readAll(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    const done = () => resolve(Buffer.concat(pieces));
    socket.on('end', done);
    socket.on('close', done);
  });
}

/** Bytes until the text ends with `end`. */
export function readUntil(socket: Socket, end: string): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    const onData = (piece: Buffer): void => {
      text += piece.toString('latin1');
      if (!text.endsWith(end)) return;
      socket.off('data', onData);
      resolve(text);
    };
    socket.on('data', onData);
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}

/** A CA and certificates made by openssl, as files in a folder: `ca.crt`, and `NAME.crt` and `NAME.key`. */
export function certificates(path: string, leaves: Record<string, string>, ca = 'ca'): void {
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: path, stdio: 'pipe' });
  run(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=Test ${ca}`,
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-keyout',
    `${ca}.key`,
    '-out',
    `${ca}.crt`,
  );
  for (const [name, san] of Object.entries(leaves)) {
    writeFileSync(join(path, `${name}.cnf`), `subjectAltName=${san}\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n`);
    run(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/O=test',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    run(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${ca}.crt`,
      '-CAkey',
      `${ca}.key`,
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.cnf`,
      '-out',
      `${name}.crt`,
    );
  }
}
