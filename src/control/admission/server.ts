/** The HTTPS server that the API server asks. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import type { ServerTls } from '../../lib/grpc/server.ts';
import { listening } from '../../lib/listen.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import { type AdmissionAnswer, type AdmissionRequest, admissionRequest, admissionResponse } from './review.ts';

/** An object of etcd's largest size, before and after, with room for the rest: as Istio's webhook takes. */
const MOST_BYTES = 6 * 1024 * 1024;
const HEAD_MS = 10_000;
const REQUEST_MS = 30_000;
/** For a TLS handshake, and for an answer that is not read. */
const HANDSHAKE_MS = 10_000;
const STALLED_MS = 60_000;
/** For what is being answered when everything ends. */
const LAST_ANSWER_MS = 2000;
/** API servers use few; each may hold a body. */
const MOST_CONNECTIONS = 64;

/** May throw `admission-invalid` for what is none of its business. */
export type Answerer = (request: AdmissionRequest) => AdmissionAnswer | Promise<AdmissionAnswer>;

export interface AdmissionServerOptions {
  readonly listen: SocketAddress;
  readonly tls: ServerTls;
  /** What answers at a path; undefined where nothing does. */
  readonly answererAt: (path: string) => Answerer | undefined;
  /** An object was refused, or the answer failed. */
  readonly refused: (about: string, reason: string) => void;
}

export interface AdmissionServer {
  readonly port: number;
  /** For connections from now on. */
  setTls(tls: ServerTls): void;
  /** Answers for as long (ms), each time as the last over its connection, and ends. */
  close(graceMs: number): Promise<void>;
}

/** Rejects as `listening`. */
export async function startAdmissionServer(options: AdmissionServerOptions): Promise<AdmissionServer> {
  const { listen, tls } = options;
  const bounds = { headersTimeout: HEAD_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: 2000, handshakeTimeout: HANDSHAKE_MS };
  let ending = false;
  const server = createServer({ ...contextOf(tls), ...bounds }, (request, response) => {
    answer(request, options).then(
      ({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json', ...(status === 200 && !ending ? {} : { connection: 'close' }) });
        response.end(`${JSON.stringify(body)}\n`);
      },
      // The client is gone.
      () => response.destroy(),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.setTimeout(STALLED_MS);
  const { address: host, port } = listen;
  await listening(server, { host, port }, { ip: host, port }, { what: 'cannot serve the webhook', option: '--webhook' });
  return {
    port: (server.address() as AddressInfo).port,
    setTls: (renewed) => server.setSecureContext(contextOf(renewed)),
    async close(graceMs) {
      ending = true;
      await delay(graceMs);
      const closed = once(server, 'close');
      server.close();
      await Promise.race([closed, delay(LAST_ANSWER_MS, undefined, { ref: false })]);
      server.closeAllConnections();
    },
  };
}

/** API servers show no certificate, unless they are told to. */
function contextOf({ cert, key }: ServerTls) {
  return { cert, key, minVersion: 'TLSv1.2' } as const;
}

async function answer(request: IncomingMessage, options: AdmissionServerOptions): Promise<{ status: number; body: object }> {
  const path = new URL(request.url ?? '/', 'https://webhook').pathname;
  const answerer = options.answererAt(path);
  if (!answerer)
    return {
      status: 404,
      body: { error: `${path}: there are /inject, /inject/net/NETWORK/cluster/CLUSTER, /validate, and /guard with --guard-egress` },
    };
  if (request.method !== 'POST') return { status: 405, body: { error: 'an AdmissionReview is sent by POST' } };
  try {
    const review = admissionRequest(await bodyOf(request));
    const result = await decided(answerer, review);
    if (result.refusal !== undefined) options.refused(nameOf(review), result.refusal);
    return { status: 200, body: admissionResponse(review.uid, result) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'admission-invalid') return { status: 400, body: { error: messageOf(error) } };
    if (code === 'admission-too-large') return { status: 413, body: { error: messageOf(error) } };
    throw error;
  }
}

/** What breaks here refuses: the pod comes again, and is not let in without its proxy. */
async function decided(answerer: Answerer, review: AdmissionRequest): Promise<AdmissionAnswer> {
  try {
    return await answerer(review);
  } catch (error) {
    if (codeOf(error) === 'admission-invalid') throw error;
    return { refusal: `Sallyport failed to answer: ${messageOf(error)}` };
  }
}

function nameOf({ kind, namespace, name, object }: AdmissionRequest): string {
  const metadata = (object as { metadata?: { name?: unknown; generateName?: unknown } } | null | undefined)?.metadata;
  return `${kind} ${namespace}/${String(metadata?.name ?? metadata?.generateName ?? name)}`;
}

/** Throws `admission-too-large`, and what the connection throws. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    length += (part as Buffer).length;
    if (length > MOST_BYTES) throw new SallyportError('admission-too-large', `the body has more than ${MOST_BYTES} bytes`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}
