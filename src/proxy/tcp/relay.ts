/** One connection of the TCP proxy, from the choice of a cluster to its access record. */

import { auditDetails, BINDING_FLAG, boundDisagreement } from '../../http/binding.ts';
import { xxHash64 } from '../../http/routes/xxhash.ts';
import { codeOf } from '../../lib/errors.ts';
import { bindingOf, disagreementDetails } from '../../xds/match/binding.ts';
import { failureFlag, isConnectFailure } from '../failure.ts';
import { nodeSocket } from '../net/bare-socket.ts';
import { openTransport } from '../net/open.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import type { Transport } from '../net/transport.ts';
import { newRecord } from '../record.ts';
import { TUNNEL_ALPN } from '../tunnel/dial.ts';
import { openTunnel } from '../tunnel/handshake.ts';
import type { AccessRecord, Cluster, Downstream, ResponseFlag, UpstreamFailure, UpstreamHost } from '../types.ts';
import { Pump } from './pump.ts';
import type { TcpProxyDeps, TcpSettings } from './settings.ts';

export class Relay {
  readonly #settings: TcpSettings;
  readonly #deps: TcpProxyDeps;
  readonly #done: () => void;
  readonly #record: AccessRecord;
  readonly #down = new Pump();
  readonly #up = new Pump();
  #downstream: Transport | undefined;
  #upstream: Transport | undefined;
  #abandon: (() => void) | undefined;
  #maxTimer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #head: Buffer | undefined;

  constructor(downstream: Downstream, settings: TcpSettings, deps: TcpProxyDeps, done: () => void) {
    this.#settings = settings;
    this.#deps = deps;
    this.#done = done;
    this.#head = downstream.head;
    const started = deps.now();
    this.#record = newRecord(downstream, downstream.startTime, started - Math.max(0, deps.date() - downstream.startTime));
  }

  start(): void {
    const { overrides, idleTimeoutMs, maxDurationMs } = this.#settings;
    const { downstream } = this.#record;
    const name = this.#settings.cluster(downstream);
    const cluster = this.#deps.clusters.get(name);
    if (cluster && this.#disagrees(cluster)) return;
    this.#downstream = openTransport(downstream.socket, this.#down, {
      ended: () => this.#upstream?.end(),
      drained: () => this.#up.drained(),
      closed: (error) => this.#onDownstreamClosed(error),
    });
    if (idleTimeoutMs > 0) this.#downstream.onIdle(idleTimeoutMs, () => this.cut());
    if (maxDurationMs) {
      this.#maxTimer = setTimeout(() => {
        this.#record.flags.push('DT');
        this.cut();
      }, maxDurationMs).unref();
    }
    if (!cluster) {
      this.#refuse({ kind: 'no-cluster' });
      return;
    }
    this.#record.upstreamCluster = name;
    this.#record.clusterMetadata = cluster.config.metadata?.filterMetadata;
    this.#deps.sink.begin?.(this.#record);
    if (this.#overflows(cluster)) return;
    const target =
      overrides.sniForwardPort !== undefined && downstream.serverName !== ''
        ? { ip: downstream.serverName, port: overrides.sniForwardPort }
        : undefined;
    const hash = this.#settings.hashSource ? xxHash64(downstream.remoteAddress.ip) : undefined;
    const choice = cluster.choose({ downstream, target, hash }, (later) => this.#onChoice(cluster, later));
    if (choice) this.#onChoice(cluster, choice);
  }

  /** Refuses where what the client says of its destination does not agree; or only has the record say so. */
  #disagrees(cluster: Cluster): boolean {
    const { downstream } = this.#record;
    const binding = this.#settings.overrides.binding ?? bindingOf(cluster.config.metadata);
    const found = binding && boundDisagreement(binding, downstream, undefined);
    if (!found) return false;
    if (binding.mode === 'audit') {
      this.#record.connectionTerminationDetails = auditDetails(found);
      return false;
    }
    downstream.socket.on('error', () => undefined);
    if (startsTls(this.#head)) downstream.socket.write(ACCESS_DENIED);
    downstream.socket.destroySoon();
    this.refused({ details: disagreementDetails(found), flag: BINDING_FLAG });
    return true;
  }

  /** In place of `start`: only logs. */
  refused({ details, flag }: { readonly details: string; readonly flag: ResponseFlag | undefined }): void {
    const record = this.#record;
    const name = this.#settings.cluster(record.downstream);
    const cluster = this.#deps.clusters.get(name);
    if (cluster) {
      record.upstreamCluster = name;
      record.clusterMetadata = cluster.config.metadata?.filterMetadata;
    }
    record.connectionTerminationDetails = details;
    if (flag) record.flags.push(flag);
    this.#finish();
  }

  #onChoice(cluster: Cluster, choice: UpstreamHost | UpstreamFailure): void {
    if (this.#closed) return;
    if ('kind' in choice) {
      this.#refuse(choice);
      return;
    }
    // Asked again: others may have connected while this one waited for a name's addresses.
    if (this.#overflows(cluster)) return;
    const record = this.#record;
    record.attempts++;
    record.upstreamHost = choice;
    choice.active++;
    const tunnel = this.#settings.tunnel?.(record);
    if (typeof tunnel === 'string') {
      choice.active--;
      this.#refuse({ kind: 'connect', reason: `tunnel: ${tunnel}` });
      return;
    }
    const options = {
      downstream: record.downstream,
      authority: undefined,
      halfOpen: true,
      ...(tunnel && { alpn: TUNNEL_ALPN, nodeSocket: true }),
    };
    const settled = (failure: UpstreamFailure | undefined, socket: StreamSocket, failed: boolean, timedOut: boolean): void => {
      this.#abandon = undefined;
      if (failed) cluster.outliers?.failed(choice, timedOut);
      else if (!this.#closed) cluster.outliers?.connected(choice, true);
      if (failure || this.#closed) {
        choice.active--;
        socket.destroy();
        if (failure && !this.#closed) this.#onFailure(cluster, failure);
        return;
      }
      socket.once('close', () => choice.active--);
      this.#relay(socket);
    };
    this.#abandon = cluster.connect(choice, options, (failure, socket, alpn) => {
      if (failure || !tunnel || this.#closed) {
        settled(failure, socket, failure !== undefined, failure?.kind === 'connect-timeout');
        return;
      }
      this.#abandon = openTunnel(nodeSocket(socket), tunnel, cluster, alpn, (refused) =>
        settled(refused && { kind: 'connect', reason: refused.reason }, socket, refused?.answered === false, refused?.timedOut ?? false),
      );
    });
  }

  /** Refuses where the cluster has as many connections as it may. */
  #overflows(cluster: Cluster): boolean {
    const { used, max } = cluster.limits.connections;
    if (used < max) return false;
    cluster.stats.upstreamCxOverflow++;
    this.#refuse({ kind: 'overflow' });
    return true;
  }

  #onFailure(cluster: Cluster, failure: UpstreamFailure): void {
    if (!isConnectFailure(failure) || this.#record.attempts >= this.#settings.maxAttempts) {
      this.#refuse(failure);
      return;
    }
    const { downstream } = this.#record;
    // The log tells of failed attempts, too.
    this.#note(failure);
    const choice = cluster.choose({ downstream, target: undefined, hash: undefined }, (later) => this.#onChoice(cluster, later));
    if (choice) this.#onChoice(cluster, choice);
  }

  /** A refused connection is closed at once: a client that waits for the server to speak must not wait for a timeout. */
  #refuse(failure: UpstreamFailure): void {
    this.#note(failure);
    // Envoy's log says of each failed connect that all attempts are used up.
    if (isConnectFailure(failure)) this.#record.flags.push('URX');
    this.cut();
  }

  #note(failure: UpstreamFailure): void {
    const { flags } = this.#record;
    const flag = failureFlag(failure);
    if (!flags.includes(flag)) flags.push(flag);
    if ('reason' in failure && failure.kind !== 'reset') this.#record.upstreamTransportFailureReason = failure.reason;
  }

  #relay(socket: StreamSocket): void {
    const downstream = this.#downstream!;
    const upstream = openTransport(socket, this.#up, {
      ended: () => downstream.end(),
      drained: () => this.#down.drained(),
      closed: (error) => this.#onUpstreamClosed(error),
    });
    this.#upstream = upstream;
    this.#record.upstreamLocalAddress = upstream.localAddress;
    this.#down.start(downstream, upstream, this.#head);
    this.#up.start(upstream, downstream, undefined);
  }

  /** A reset says that bytes are missing, which the end of a connection does not: each side hears of the other's. */
  #onUpstreamClosed(error: Error | undefined): void {
    if (codeOf(error) === 'ECONNRESET' && !this.#closed) {
      this.#note({ kind: 'reset', reason: 'remote reset' });
      this.#downstream?.reset();
      return;
    }
    // What the server sent last still goes to the client.
    this.#downstream?.destroySoon();
  }

  #onDownstreamClosed(error: Error | undefined): void {
    if (codeOf(error) === 'ECONNRESET') this.#upstream?.reset();
    else this.#upstream?.destroy();
    this.#finish();
  }

  /** Closes both sides now; `details`: why, for the log. */
  end(details: string): void {
    this.#record.connectionTerminationDetails = details;
    this.cut();
  }

  /** Closes both sides now. */
  cut(): void {
    this.#downstream?.destroy();
    this.#upstream?.destroy();
    this.#finish();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#maxTimer);
    if (this.#abandon) {
      // An attempt that is given up does not report back.
      this.#abandon();
      this.#record.upstreamHost!.active--;
    }
    this.#done();
    const record = this.#record;
    record.ended = this.#deps.now();
    record.bytesReceived = this.#down.bytes;
    record.bytesSent = this.#up.bytes;
    this.#deps.sink.record(record);
  }
}

/** A fatal alert `access_denied` (RFC 8446 §6), for clients that have begun a handshake. */
const ACCESS_DENIED = Buffer.from([0x15, 3, 3, 0, 2, 2, 49]);
const HANDSHAKE = 0x16;

function startsTls(head: Buffer | undefined): boolean {
  return head !== undefined && head[0] === HANDSHAKE;
}
