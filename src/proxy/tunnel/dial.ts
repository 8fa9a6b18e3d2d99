/** Connections of this proxy's own through forward proxies: what an internal listener with a tunnelling TCP proxy gives to clusters that lead to it. */
import { Socket } from 'node:net';
import { hostPort } from '../../lib/socket-address.ts';
import { nodeSocket } from '../net/bare-socket.ts';
import { newRecord } from '../record.ts';
import type { TcpProxyDeps, TcpSettings } from '../tcp/settings.ts';
import type { Cluster, Dial, DialContext, Downstream, UpstreamFailure, UpstreamHost } from '../types.ts';
import { openTunnel } from './handshake.ts';
import type { TunnelRequestOf } from './settings.ts';

/** Tunnels are asked for by HTTP/1.1. */
export const TUNNEL_ALPN = ['http/1.1'];

export function createDial(settings: TcpSettings, tunnel: TunnelRequestOf, deps: TcpProxyDeps): Dial {
  return (context, done) => {
    const attempt = new Dialling(settings, tunnel, deps, context, done);
    // Whoever dials knows what abandons it before it hears of the end.
    setImmediate(() => attempt.start());
    return () => attempt.abandon();
  };
}

class Dialling {
  readonly #settings: TcpSettings;
  readonly #tunnel: TunnelRequestOf;
  readonly #deps: TcpProxyDeps;
  readonly #context: DialContext;
  readonly #done: Parameters<Dial>[1];
  #abandon: (() => void) | undefined;
  #attempts = 0;
  #over = false;

  constructor(
    settings: TcpSettings,
    tunnel: TunnelRequestOf,
    deps: TcpProxyDeps,
    context: DialContext,
    done: (failure: UpstreamFailure | undefined, socket: Socket) => void,
  ) {
    this.#settings = settings;
    this.#tunnel = tunnel;
    this.#deps = deps;
    this.#context = context;
    this.#done = done;
  }

  start(): void {
    if (this.#over) return;
    const name = this.#settings.cluster(this.#context.downstream ?? NOBODY);
    const cluster = this.#deps.clusters.get(name);
    if (cluster) this.#choose(cluster);
    else this.#fail('there is no cluster for it');
  }

  abandon(): void {
    this.#over = true;
    this.#abandon?.();
  }

  #choose(cluster: Cluster): void {
    const choice = cluster.choose({ downstream: undefined, target: undefined, hash: undefined }, (later) => this.#connect(cluster, later));
    if (choice) this.#connect(cluster, choice);
  }

  #connect(cluster: Cluster, choice: UpstreamHost | UpstreamFailure): void {
    if (this.#over) return;
    if ('kind' in choice) {
      this.#fail(textOf(choice));
      return;
    }
    const { used, max } = cluster.limits.connections;
    if (used >= max) {
      cluster.stats.upstreamCxOverflow++;
      this.#fail('as many connections as it may have are open');
      return;
    }
    const { downstream, metadata } = this.#context;
    const record = newRecord(downstream ?? NOBODY, this.#deps.date(), this.#deps.now());
    record.dynamicMetadata = metadata;
    const request = this.#tunnel(record);
    if (typeof request === 'string') {
      this.#fail(request);
      return;
    }
    this.#attempts++;
    choice.active++;
    const ended = (failure: string | undefined, socket: Socket): void => {
      this.#abandon = undefined;
      if (failure === undefined && !this.#over) {
        socket.once('close', () => choice.active--);
        this.#over = true;
        this.#done(undefined, socket);
        return;
      }
      choice.active--;
      socket.destroy();
      if (failure === undefined || this.#over) return;
      if (this.#attempts < this.#settings.maxAttempts) this.#choose(cluster);
      else this.#fail(failure, choice.hostname === '' ? choice.text : hostPort(choice.hostname, choice.address.port));
    };
    const giveUp = (abandon: () => void) => () => {
      choice.active--;
      abandon();
    };
    const connecting = cluster.connect(
      choice,
      { downstream, authority: undefined, halfOpen: true, alpn: TUNNEL_ALPN, nodeSocket: true },
      (failure, connected, alpn) => {
        const socket = nodeSocket(connected);
        if (failure) cluster.outliers?.failed(choice, failure.kind === 'connect-timeout');
        if (failure || this.#over) {
          ended(failure && textOf(failure), socket);
          return;
        }
        const asking = openTunnel(socket, request, cluster, alpn, (refused) => {
          if (refused?.answered === false) cluster.outliers?.failed(choice, refused.timedOut);
          else cluster.outliers?.connected(choice, true);
          ended(refused?.reason, socket);
        });
        this.#abandon = giveUp(asking);
      },
    );
    this.#abandon = giveUp(connecting);
  }

  /** Whatever is wrong on the way is the connection's failure: nothing has reached the destination. `asked`: of several that stand in for each other. */
  #fail(reason: string, asked = this.#context.proxy): void {
    if (this.#over) return;
    this.#over = true;
    this.#done({ kind: 'through', reason: `through the proxy ${asked}: ${reason}` }, new Socket());
  }
}

function textOf(failure: UpstreamFailure): string {
  if ('reason' in failure) return failure.reason;
  return failure.kind === 'no-host' ? 'no healthy upstream' : failure.kind === 'connect-timeout' ? 'connection timeout' : failure.kind;
}

const NO_ADDRESS = { ip: '', port: 0 };

/** In place of a client, where the proxy itself calls. */
const NOBODY: Downstream = {
  id: 0,
  socket: new Socket(),
  head: undefined,
  remoteAddress: NO_ADDRESS,
  localAddress: NO_ADDRESS,
  directRemoteAddress: NO_ADDRESS,
  directLocalAddress: NO_ADDRESS,
  localAddressRestored: false,
  listenerName: '',
  filterChainName: '',
  serverName: '',
  alpn: '',
  tls: undefined,
  startTime: 0,
  reenter: undefined,
};
