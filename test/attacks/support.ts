/** A data plane with an HTTP listener, and an upstream that writes down what it was asked, as a strict server understands it. */
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { cluster, dataPlane, listener, type Plane, server, typed } from '../integration/dataplane/support.ts';

export interface Asked {
  readonly line: string;
  /** As they came, `name: value` in lower case. */
  readonly fields: readonly string[];
  readonly body: string;
}

export interface Upstream {
  readonly port: number;
  /** Whole requests, in the order in which they came; those that came in one piece with another as well. */
  readonly asked: readonly Asked[];
  /** Bytes that came on upgraded connections. */
  readonly tunnelled: () => string;
}

export interface UpstreamOptions {
  /** Called with the head of a request for an upgrade; what comes after the head is a tunnel's from then on. Without it such requests are ordinary ones. */
  readonly onUpgrade?: (socket: Socket) => void;
  readonly answer?: string;
}

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nanswered';

/** A server that takes requests one after the other off the wire by their framing alone (RFC 9112 §6.3), and answers each. */
export async function upstream(t: TestContext, { onUpgrade, answer = ANSWER }: UpstreamOptions = {}): Promise<Upstream> {
  const asked: Asked[] = [];
  let tunnelled = '';
  const port = await server(t, (socket) => {
    let text = '';
    let tunnel = false;
    socket.on('data', (data: Buffer) => {
      if (tunnel) {
        tunnelled += data.toString('latin1');
        return;
      }
      text += data.toString('latin1');
      for (let taken = takeRequest(text); taken; taken = takeRequest(text)) {
        asked.push(taken.asked);
        text = taken.rest;
        if (onUpgrade && taken.asked.fields.some((field) => field.startsWith('upgrade:'))) {
          tunnel = true;
          tunnelled += text;
          onUpgrade(socket);
          return;
        }
        socket.write(answer);
      }
    });
    socket.on('end', () => socket.end());
  });
  return { port, asked, tunnelled: () => tunnelled };
}

/** The first whole request of the text; undefined while it is not whole. */
function takeRequest(text: string): { asked: Asked; rest: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...fields] = text.slice(0, end).split('\r\n');
  const lower = fields.map((field) => field.toLowerCase());
  const value = (name: string) =>
    lower
      .find((field) => field.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  const after = text.slice(end + 4);
  const done = (body: string, length: number) => ({ asked: { line, fields: lower, body }, rest: after.slice(length) });
  if (value('transfer-encoding') === 'chunked') {
    let at = 0;
    let body = '';
    for (;;) {
      const size = /^([0-9a-f]+)\r\n/i.exec(after.slice(at));
      if (!size) return undefined;
      const length = Number.parseInt(size[1]!, 16);
      at += size[0].length;
      if (after.length < at + length + 2) return undefined;
      body += after.slice(at, at + length);
      at += length + 2;
      if (length === 0) return done(body, at);
    }
  }
  const length = Number(value('content-length') ?? 0);
  return after.length < length ? undefined : done(after.slice(0, length), length);
}

export interface Gateway extends Plane {
  readonly http: number;
}

/** One listener on which `/public` is routed and everything else is not. `more`: of the connection manager; `cluster`: of the cluster. */
export async function gateway(t: TestContext, port: number, more: JsonObject = {}, ofCluster: JsonObject = {}): Promise<Gateway> {
  const plane = await dataPlane(t);
  const manager = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    statPrefix: 'h',
    routeConfig: {
      name: 'r',
      virtualHosts: [{ name: 'a', domains: ['www.allowed.example'], routes: [{ match: { prefix: '/public' }, route: { cluster: 'c' } }] }],
    },
    httpFilters: [{ name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
    ...more,
  });
  const { rejected } = await plane.set({
    listeners: [listener('http', [{ filters: [{ name: 'http', typedConfig: manager }] }])],
    clusters: [cluster('c', [port], ofCluster)],
  });
  if (rejected.length > 0) throw new Error(rejected.map(({ message }) => message).join('\n'));
  return { ...plane, http: plane.port('http') };
}
