/**
 * The kubelet's probes of the application, which the agent makes in its place: what comes to the application's own port from outside is captured, and may
 * have to be mutual TLS. Which there are injection wrote down (`ISTIO_KUBE_APP_PROBERS`), in the form that Istio's agent reads.
 */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { get } from 'node:http';
import { get as getSecure } from 'node:https';
import { connect, isIPv4 } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import { SallyportError } from '../lib/errors.ts';
import { hostPort } from '../lib/socket-address.ts';

export interface AppProbe {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number;
    readonly host?: string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly timeoutSeconds?: number;
}

/** By path at the agent. */
export type AppProbes = ReadonlyMap<string, AppProbe>;

/** Rules of capture leave alone what a sidecar sends from here to its own pod. */
const SOURCE = '127.0.0.6';
/** The kubelet stops earlier. */
const PATIENCE_MS = 10_000;
/** Fields that replace ours. */
const SINGLE: ReadonlySet<string> = new Set(['host', 'user-agent']);
const HEALTH = '/grpc.health.v1.Health/Check';
/** SERVING in field 1 of HealthCheckResponse. */
const SERVING = Buffer.from([0x08, 0x01]);

/** Throws `usage`. */
export function appProbes(text: string): AppProbes {
  const wrong = (why: string) =>
    new SallyportError(
      'usage',
      `--app-probes (ISTIO_KUBE_APP_PROBERS): ${why}: it is what sallyport inject wrote for the pod's probes, as JSON`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('it is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('it is no object');
  const probes = new Map(Object.entries(value as Record<string, AppProbe>));
  for (const [path, probe] of probes) {
    const port = (probe?.httpGet ?? probe?.tcpSocket ?? probe?.grpc)?.port;
    if (!path.startsWith('/app-') || !Number.isInteger(port)) throw wrong(`${path} names no port`);
  }
  return probes;
}

/** The status that the kubelet is to see. @param address of the pod @param userAgent of who asks */
export async function probeApp(probe: AppProbe, address: string, userAgent: string | undefined): Promise<number> {
  const timeoutMs = probe.timeoutSeconds ? Math.min(probe.timeoutSeconds * 1000, PATIENCE_MS) : PATIENCE_MS;
  // Where an address of IPv6 would be captured, loopback is not.
  const where = isIPv4(address) ? { host: address, localAddress: SOURCE } : { host: '::1' };
  try {
    if (probe.httpGet) return await askHttp(probe.httpGet, where, userAgent, timeoutMs);
    const healthy = probe.grpc
      ? await askGrpc(probe.grpc, isIPv4(address) ? '127.0.0.1' : '::1', timeoutMs)
      : await connects(probe.tcpSocket!.port, where, timeoutMs);
    return healthy ? 200 : 503;
  } catch {
    return 503;
  }
}

interface Where {
  readonly host: string;
  readonly localAddress?: string;
}

/** Redirects count as answers, as for the kubelet those to elsewhere do. */
function askHttp(
  action: NonNullable<AppProbe['httpGet']>,
  where: Where,
  userAgent: string | undefined,
  timeoutMs: number,
): Promise<number> {
  const { path = '/', port, scheme, httpHeaders = [] } = action;
  const secure = scheme?.toUpperCase() === 'HTTPS';
  const headers: Record<string, string | string[]> = { host: hostPort(where.host, port), 'user-agent': userAgent ?? 'kube-probe' };
  for (const { name, value } of httpHeaders) {
    const before = SINGLE.has(name.toLowerCase()) ? undefined : headers[name.toLowerCase()];
    headers[name.toLowerCase()] = before === undefined ? value : [before, value].flat();
  }
  const options: RequestOptions = { ...where, port, path: path.startsWith('/') ? path : `/${path}`, headers, agent: false };
  return new Promise((resolve, reject) => {
    const answered = (given: IncomingMessage) => {
      clearTimeout(deadline);
      given.destroy();
      // Not every number that can stand there is a status that we could give on.
      const { statusCode = 0 } = given;
      resolve(statusCode >= 200 && statusCode <= 599 ? statusCode : 503);
    };
    // As the kubelet: it is asked whether the application answers, not who it is.
    const asked: ClientRequest = secure ? getSecure({ ...options, rejectUnauthorized: false }, answered) : get(options, answered);
    const deadline = setTimeout(() => asked.destroy(new Error('no answer')), timeoutMs);
    asked.on('error', (error) => {
      clearTimeout(deadline);
      reject(error);
    });
  });
}

function connects(port: number, where: Where, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ ...where, port });
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** The protocol of health checks of gRPC (grpc/doc/health-checking.md). */
function askGrpc({ port, service = '' }: NonNullable<AppProbe['grpc']>, host: string, timeoutMs: number): Promise<boolean> {
  const name = Buffer.from(service);
  // Field 1, its length as a varint.
  const length = name.length < 128 ? [name.length] : [(name.length & 127) | 128, name.length >> 7];
  const request = name.length > 0 ? Buffer.concat([Buffer.from([0x0a, ...length]), name]) : Buffer.alloc(0);
  const client = new Client(hostPort(host, port), credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
  const asItIs = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(HEALTH, asItIs, asItIs, request, { deadline: Date.now() + timeoutMs }, (_error, response) => {
      client.close();
      resolve(response?.subarray(0, 2).equals(SERVING) ?? false);
    });
  });
}
