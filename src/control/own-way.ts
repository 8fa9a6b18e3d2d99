/** The way on which requests of this program's own leave, where that is through forward proxies (`--via`): a tunnel (CONNECT), and TLS in it. */
import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../lib/errors.ts';
import { isIp } from '../lib/ip.ts';
import { isHostCoveredBy } from '../lib/no-proxy.ts';
import { readRegularFile } from '../lib/regular-file.ts';
import { hostPort, isLoopbackAddress } from '../lib/socket-address.ts';
import { roots } from './own-requests.ts';

export interface OwnWay {
  /** One, or several that stand in for each other. */
  readonly proxies: readonly { readonly host: string; readonly port: number }[];
  /** They are asked in TLS: verified by these roots (a file), or by the system's. */
  readonly tls: { readonly caCertificates?: string | undefined } | undefined;
  /** What they are sent as `proxy-authorization`. */
  readonly authorization: string | undefined;
  /** Names, `*.suffix` patterns, addresses and ranges that are reached directly, in lower case. */
  readonly except: readonly string[];
}

/** Whether a host is asked for through the proxies; this machine is reached directly. */
export function leavesThrough({ except }: OwnWay, host: string): boolean {
  if (/^(?:.*\.)?localhost$/i.test(host) || isLoopbackAddress(host)) return false;
  return !isHostCoveredBy(except, host.toLowerCase(), isIp(host) ? [host] : []);
}

interface Target {
  readonly host: string;
  readonly port: number;
  /** PEM: those by whom the host is known. */
  readonly ca: string[] | Buffer;
}

/** TLS to the host, which has shown its certificate. Rejects with a reason that holds nothing of what was sent. */
export async function tunnelTo(way: OwnWay, target: Target, signal: AbortSignal): Promise<TLSSocket> {
  const reasons: string[] = [];
  for (const proxy of way.proxies) {
    try {
      return await secured(await tunnel(way, proxy, target, signal), target, signal);
    } catch (error) {
      signal.throwIfAborted();
      reasons.push(`through the proxy ${hostPort(proxy.host, proxy.port)}: ${messageOf(error)}`);
    }
  }
  throw new Error(reasons.join('; '));
}

function tunnel({ tls, authorization }: OwnWay, proxy: OwnWay['proxies'][number], to: Target, signal: AbortSignal): Promise<Socket> {
  const path = hostPort(to.host, to.port);
  const headers = { host: path, ...(authorization !== undefined && { 'proxy-authorization': authorization }) };
  const { host, port } = proxy;
  const options: RequestOptions = { host, port, method: 'CONNECT', path, headers, agent: false, signal };
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const request = tls
    ? process.getBuiltinModule('node:https').request({
        ...options,
        ca: tls.caCertificates === undefined ? roots() : readRegularFile(tls.caCertificates),
        ...(isIp(host) ? {} : { servername: host }),
      })
    : process.getBuiltinModule('node:http').request(options);
  const refused = ({ statusCode }: IncomingMessage, socket: Socket) => {
    socket.destroy();
    reject(new Error(`it answers ${statusCode}`));
  };
  request
    .on('connect', (response, socket, early) => {
      // Nothing comes of TLS before the client has begun it.
      if (response.statusCode !== 200 || early.length > 0) refused(response, socket as Socket);
      else resolve(socket as Socket);
    })
    .on('response', (response) => refused(response, response.socket))
    .on('error', reject)
    .end();
  return promise;
}

/** Nothing is written before the certificate has been verified. */
async function secured(socket: Socket, { host, ca }: Target, signal: AbortSignal): Promise<TLSSocket> {
  const { connect } = process.getBuiltinModule('node:tls');
  const { once } = process.getBuiltinModule('node:events');
  const secure = connect({ socket, host, ca, ...(isIp(host) ? {} : { servername: host }) });
  try {
    await once(secure, 'secureConnect', { signal });
    return secure;
  } catch (error) {
    secure.destroy();
    throw error;
  }
}
