/** One connection's way from a listener's first filter to its filter chain. */

import { AUDIT_UNAVAILABLE } from '../../audit/seat.ts';
import { nodeSocket } from '../net/bare-socket.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import { newRecord } from '../record.ts';
import type { AccessRecord, Downstream } from '../types.ts';
import { type Bound, boundOf } from './bounds.ts';
import type { ActiveChain } from './chain.ts';
import type { ConnectionTaker, ListenerEnvironment, Plan } from './contract.ts';
import { Inspection } from './inspection.ts';

/** Bytes that listener filters may read ahead; no head, hello or greeting is longer. */
const MAX_READ_AHEAD = 128 * 1024;

export class Passage {
  readonly #listener: ConnectionTaker;
  readonly #accepting: ConnectionTaker;
  readonly #connection: Inspection;
  readonly #plan: Plan;
  readonly #env: ListenerEnvironment;
  readonly #inspecting: Set<Inspection>;
  #index = 0;
  #reading = false;
  #heard: boolean;
  /** Stands for the question that a filter was asked last, until it resumes: it may do so before it has answered `later`. */
  #asked: object | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timed: Bound['phase'] | undefined;

  constructor(
    listener: ConnectionTaker,
    accepting: ConnectionTaker,
    connection: Inspection,
    plan: Plan,
    env: ListenerEnvironment,
    inspecting: Set<Inspection>,
  ) {
    this.#listener = listener;
    this.#accepting = accepting;
    this.#connection = connection;
    this.#plan = plan;
    this.#env = env;
    this.#inspecting = inspecting;
    this.#heard = connection.ahead.length > 0;
  }

  run(): void {
    const { filters } = this.#plan;
    const connection = this.#connection;
    while (this.#index < filters.length) {
      const filter = filters[this.#index]!;
      if (!filter.disabled(connection)) {
        const asked = {};
        this.#asked = asked;
        const verdict = filter.inspect(connection, this.#resume);
        if (verdict !== 'next') {
          if (verdict === 'more') this.#read();
          else if (verdict === 'close') this.#refuse();
          else if (this.#asked === asked) this.#wait();
          return;
        }
      }
      this.#index++;
    }
    this.#finish();
  }

  /** The verdict of a filter that answered `later`. */
  readonly #resume = (verdict: 'next' | 'close'): void => {
    this.#asked = undefined;
    if (this.#connection.socket.destroyed || verdict === 'close') {
      this.#refuse();
    } else if (!this.#handOff()) {
      this.#index++;
      this.#heard = this.#connection.ahead.length > 0;
      this.#stopTimer();
      this.run();
    }
  };

  #wait(): void {
    this.#stopReading();
    this.#startTimer();
  }

  #read(): void {
    const { socket } = this.#connection;
    this.#startTimer();
    if (this.#reading) return;
    this.#reading = true;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onEnd);
    socket.resume();
  }

  #stopReading(): void {
    if (!this.#reading) return;
    this.#reading = false;
    const { socket } = this.#connection;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onEnd);
    socket.pause();
  }

  #startTimer(): void {
    this.#inspecting.add(this.#connection);
    const bound = boundOf(this.#plan.filters[this.#index]?.bounds, this.#plan.filtersTimeoutMs, this.#heard);
    if (this.#timed === bound.phase) return;
    this.#stopTimer();
    this.#timed = bound.phase;
    this.#timer = setTimeout(() => this.#onTimeout(), bound.ms);
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timed = undefined;
  }

  readonly #onData = (piece: Buffer): void => {
    const { ahead, wanted } = this.#connection;
    ahead.append(piece);
    this.#heard = true;
    if (ahead.length > MAX_READ_AHEAD) this.#refuse();
    else if (ahead.length >= wanted) this.run();
    else this.#startTimer();
  };

  /** Half a hello or request line and no more: nothing can come of it. */
  readonly #onEnd = (): void => this.#refuse();

  #onTimeout(): void {
    this.#listener.stats.downstreamPreCxTimeout++;
    const filter = this.#plan.filters[this.#index];
    if (!this.#plan.config.continueOnListenerFiltersTimeout || filter?.mandatory) this.#refuse();
    else this.#finish();
  }

  #leave(): void {
    this.#stopTimer();
    this.#stopReading();
    this.#inspecting.delete(this.#connection);
  }

  #refuse(): void {
    this.#leave();
    // A filter may just have written why.
    this.#connection.socket.destroySoon();
  }

  /**
   * Gives the connection to the listener of its original destination, if another has it. The explicit proxy does so as soon as it knows the
   * destination: inspectors after it would wait for a client that waits for its server to speak.
   */
  #handOff(): boolean {
    const connection = this.#connection;
    if (!this.#plan.config.useOriginalDst || !connection.localAddressRestored) return false;
    const other = this.#env.handOff(connection.localAddress);
    if (!other || other === this.#listener) return false;
    this.#leave();
    other.take(connection, this.#accepting);
    return true;
  }

  #finish(): void {
    if (this.#handOff()) return;
    this.#leave();
    const connection = this.#connection;
    const chain = this.#chain();
    if (!chain) {
      this.#listener.stats.noFilterChainMatch++;
      this.#plan.sink.record(refusedRecord(connection, this.#listener.name, this.#env, 'filter_chain_not_found'));
      this.#turnAway();
      return;
    }
    if (chain.kind === 'tcp' && this.#env.admits?.() === false) {
      this.#plan.sink.record(refusedRecord(connection, this.#listener.name, this.#env, AUDIT_UNAVAILABLE));
      this.#turnAway();
      return;
    }
    if (chain.maxConnections !== undefined && chain.handler.active >= chain.maxConnections) {
      this.#turnAway();
      return;
    }
    // It is given back between two requests, which takes more than the handle.
    if (connection.reenters) connection.socket = nodeSocket(connection.socket);
    if (chain.tls) this.#secure(chain);
    else this.#handOver(chain, connection.socket, connection.ahead.take(), undefined);
  }

  /**
   * Envoy only peeks at what tells the chain, so that closing leaves it unread and the kernel resets the connection: the proxy before this one logs UR.
   * Where something was written, by a way in that Envoy does not have, the client is to read it.
   */
  #turnAway(): void {
    const { socket, ahead } = this.#connection;
    if (ahead.length > 0 && socket.bytesWritten === 0 && !socket.destroyed) socket.resetAndDestroy();
    else socket.destroy();
  }

  #chain(): ActiveChain | undefined {
    const connection = this.#connection;
    const chain = this.#plan.match({
      destinationIp: connection.localAddress.ip,
      destinationPort: connection.localAddress.port,
      sourceIp: connection.remoteAddress.ip,
      sourcePort: connection.remoteAddress.port,
      serverName: connection.serverName,
      transportProtocol: connection.transportProtocol,
      applicationProtocols: connection.applicationProtocols,
    });
    return chain?.get();
  }

  #secure(chain: ActiveChain): void {
    const socket = nodeSocket(this.#connection.socket);
    this.#connection.socket = socket;
    const head = this.#connection.ahead.take();
    if (head) socket.unshift(head);
    this.#inspecting.add(this.#connection);
    const inspected = this.#connection.transportProtocol === 'tls';
    const offered = inspected ? this.#connection.applicationProtocols : undefined;
    if (chain.kind === 'http') socket.allowHalfOpen = false;
    const { interception } = this.#env;
    const { id, localAddress, directRemoteAddress: client } = this.#connection;
    const host = chain.tls!.intercepts;
    const intercepted = host === undefined ? undefined : { id, host, port: localAddress.port, client };
    chain.tls!.accept(socket, offered, chain.handshakeTimeoutMs, (result) => {
      this.#inspecting.delete(this.#connection);
      if ('failure' in result) {
        this.#listener.stats.sslHandshakeError++;
        const { ip, port } = this.#connection.remoteAddress;
        this.#env.log('debug', `listener "${this.#listener.name}": TLS handshake with ${ip}:${port} failed: ${result.failure}`);
        if (intercepted) interception?.failed(intercepted, result.failure);
        return;
      }
      if (intercepted && interception) {
        interception.began(intercepted);
        socket.once('close', () => interception.closed(intercepted));
      }
      this.#connection.serverName ||= result.serverName;
      this.#handOver(chain, result.socket, undefined, result);
    });
  }

  #handOver(
    chain: ActiveChain,
    socket: StreamSocket,
    head: Buffer | undefined,
    tls: ({ readonly alpn: string } & Pick<NonNullable<Downstream['tls']>, 'version' | 'cipher' | 'peer' | 'local'>) | undefined,
  ): void {
    const connection = this.#connection;
    // An HTTP client that ends its side ends the connection; raw bytes may go on the other way.
    if (chain.kind === 'http') socket.allowHalfOpen = false;
    const { transportProtocol, applicationProtocols } = connection;
    const downstream: Downstream = {
      ...identity(connection, this.#listener.name, chain.name),
      arrival: { accepting: this.#accepting.name, transportProtocol, applicationProtocols },
      socket,
      head,
      alpn: tls?.alpn ?? '',
      tls: tls && { version: tls.version, cipher: tls.cipher, peer: tls.peer, local: tls.local },
      reenter: connection.reenters ? (unread) => this.#reenter(unread) : undefined,
    };
    const ignore = () => undefined;
    socket.on('error', ignore);
    this.#inspecting.add(connection);
    chain.guard(downstream, (refusal) => {
      this.#inspecting.delete(connection);
      socket.off('error', ignore);
      if (refusal) {
        chain.handler.refused?.(downstream, refusal);
        socket.destroy();
      } else if (!socket.destroyed) chain.handler.onConnection(downstream);
    });
  }

  /** The explicit proxy's next request goes elsewhere: all is chosen anew, by the configuration that is in force now. */
  #reenter(unread: Buffer): void {
    const { socket, id } = this.#connection;
    const next = new Inspection(id, socket, this.#env.date());
    socket.allowHalfOpen = true;
    if (unread.length > 0) next.ahead.append(unread);
    this.#accepting.take(next, this.#accepting);
  }
}

function identity(connection: Inspection, listenerName: string, filterChainName: string) {
  const { id, remoteAddress, localAddress, directRemoteAddress, directLocalAddress, localAddressRestored, serverName, asked, startTime } =
    connection;
  return {
    id,
    remoteAddress,
    localAddress,
    directRemoteAddress,
    directLocalAddress,
    localAddressRestored,
    serverName,
    asked,
    startTime,
    listenerName,
    filterChainName,
  };
}

/** The record of a connection that no filter chain takes, or may take. */
function refusedRecord(connection: Inspection, listenerName: string, env: ListenerEnvironment, details: string): AccessRecord {
  const now = env.now();
  const downstream = {
    ...identity(connection, listenerName, ''),
    socket: connection.socket,
    head: undefined,
    alpn: '',
    tls: undefined,
    reenter: undefined,
  };
  const record = newRecord(downstream, connection.startTime, now);
  record.ended = now;
  record.responseCodeDetails = details;
  record.flags.push('NR');
  return record;
}
