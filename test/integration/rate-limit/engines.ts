/** A stock Envoy and the embedded data plane with one configuration, whose global rate limits ask one service. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../../scripts/fetch-envoy.ts';
import { cluster, dataPlane, listener, typed } from '../dataplane/support.ts';
import { startEnvoy } from '../envoy-process.ts';

export const ENVOY = findEnvoy();
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
export const NAME = 'envoy.filters.http.ratelimit';
export const TYPE = 'envoy.extensions.filters.http.ratelimit.v3.RateLimit';
const H2 = {
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
      explicitHttpConfig: { http2ProtocolOptions: {} },
    }),
  },
};
/** What the server behind was sent, in order. */
let got: object[] = [];

/** The server behind; resolves with its port and what ends it. */
export async function startUpstream(): Promise<{ readonly port: number; stop(): void }> {
  const server = createServer((message, response) => {
    got.push({ url: message.url, fields: fieldsOf(message.rawHeaders) });
    response.setHeader('x-own', 'upstream').end('hello');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, stop };
}

/** What differs from one run to the next. */
const VARYING = new Set(['date', 'x-request-id', 'x-envoy-upstream-service-time', 'keep-alive', 'connection', 'host', 'transfer-encoding']);

function fieldsOf(raw: readonly string[]): string[] {
  return raw
    .flatMap((name, at) => (at % 2 === 0 && !VARYING.has(name.toLowerCase()) ? [`${name.toLowerCase()}: ${raw[at + 1]}`] : []))
    .filter((field) => !field.startsWith('x-envoy-expected-rq-timeout-ms'))
    .sort();
}

export interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
}

/** What a client sees of a request. */
export async function ask(port: number, { method = 'GET', path = '/', headers = {}, body }: Sent) {
  const made = request({ port, host: '127.0.0.1', method, path, headers, agent: false });
  made.end(body);
  const [response] = (await once(made, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
  return { status: response.statusCode, fields: fieldsOf(response.rawHeaders), text: Buffer.concat(parts).toString() };
}

export interface Config {
  /** Ports of the server behind and of the service. */
  readonly ports: { readonly upstream: number; readonly limits: number };
  /** Over what each of these tests has. */
  readonly filter?: JsonObject;
  /** Of the route that takes all. */
  readonly route?: JsonObject;
  readonly action?: JsonObject;
  readonly host?: JsonObject;
  /** Before the route that takes all. */
  readonly routes?: readonly JsonObject[];
  /** In place of the filter of these tests. */
  readonly filters?: readonly JsonObject[];
}

const filterOf = (more: JsonObject = {}): JsonObject => ({
  name: NAME,
  typedConfig: typed(TYPE, {
    domain: 'd',
    timeout: '5s',
    failureModeDeny: true,
    rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'limits' } }, transportApiVersion: 'V3' },
    ...more,
  }),
});

function listenerOf({ filter, route, action, host, routes = [], filters }: Config): JsonObject {
  const responseHeadersToAdd = [{ header: { key: 'x-outcome', value: '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%' } }];
  const manager = typed(HCM, {
    statPrefix: 'x',
    httpFilters: [
      ...(filters ?? [filterOf(filter)]),
      { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') },
    ],
    routeConfig: {
      name: 'rc',
      virtualHosts: [
        {
          ...{ name: 'v', domains: ['*'] },
          routes: [...routes, { match: { prefix: '/' }, route: { cluster: 'upstream', ...action }, responseHeadersToAdd, ...route }],
          ...host,
        },
      ],
    },
  });
  return listener('l', [{ filters: [{ name: 'hcm', typedConfig: manager }] }]);
}

export type Both = readonly [envoy: number, embedded: number];

/** Both engines with one configuration; resolves with their ports. */
export async function engines(t: TestContext, config: Config): Promise<Both> {
  const { upstream, limits } = config.ports;
  const all = [cluster('upstream', [upstream]), cluster('limits', [limits], H2)];
  const envoy = await startEnvoy(ENVOY!, listenerOf(config), all);
  t.after(() => envoy.stop());
  const plane = await dataPlane(t);
  const ack = await plane.set({ listeners: [listenerOf(config)], clusters: [...all] });
  assert.deepEqual(ack.rejected, []);
  return [envoy.port, plane.port('l')];
}

/** What comes of a request at an engine: for the client, the server behind, and the service, which keeps what it is `asked`. */
export async function outcome(port: number, sent: Sent, asked: string[]) {
  got = [];
  asked.length = 0;
  const answer = await ask(port, sent);
  return { ...answer, asked: [...asked], got };
}
