/** Asks a forward proxy for a tunnel: CONNECT over a connection to it (RFC 9110 §9.3.6), judged as Envoy's TCP proxy does. */
import type { Socket } from 'node:net';
import { encodeRequest } from '../../http/h1/encode.ts';
import { CodecError } from '../../http/h1/error.ts';
import { parseResponseHead } from '../../http/h1/head.ts';
import type { HeaderMap } from '../../http/header-map.ts';
import { type BodyFraming, type MessageHandler, MessageParser, NO_BODY } from '../http/h1/parser.ts';
import type { Cluster } from '../types.ts';

/** What is asked for: `host:port`, and the fields beside `host`. */
export interface TunnelRequest {
  readonly authority: string;
  readonly headers: HeaderMap;
}

/** Why there is no tunnel. */
export interface TunnelFailure {
  readonly reason: string;
  /** The proxy answered, so it is not the proxy that is broken. */
  readonly answered: boolean;
  readonly timedOut: boolean;
}

/** As of other answers of upstreams. */
const MAX_HEAD_BYTES = 60 * 1024;
const MAX_HEADERS = 100;

/**
 * Nothing else is sent before the proxy has agreed, so whoever fails here has sent nothing that a second attempt would repeat. What comes behind the answer's
 * head is the destination's, and is read from the socket next.
 * @param cluster the proxy's: the whole answer comes within its connect timeout (Envoy would wait for ever)
 * @param alpn what TLS to the proxy has negotiated; empty for none
 * @param done called once, never before this returns; a failure leaves the socket destroyed
 * @returns what abandons it
 */
export function openTunnel(
  socket: Socket,
  { authority, headers }: TunnelRequest,
  { connectTimeoutMs: timeoutMs, protocol }: Pick<Cluster, 'connectTimeoutMs' | 'protocol'>,
  alpn: string,
  done: (failure: TunnelFailure | undefined) => void,
): () => void {
  let over = false;
  const finish = (failure: TunnelFailure | undefined, early?: Buffer): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', ignore);
    socket.pause();
    if (early && early.length > 0) socket.unshift(early);
    if (failure) {
      socket.on('error', ignore);
      socket.destroy();
    }
    done(failure);
  };
  const abandon = (): void => {
    over = true;
    clearTimeout(timer);
    socket.off('data', onData).off('end', onEnd).off('close', onEnd);
    socket.destroy();
  };
  const fail = (reason: string): undefined => {
    finish({ reason: `tunnel: ${reason}`, answered: false, timedOut: false });
  };
  const answer: MessageHandler = {
    head(text: string): BodyFraming | undefined {
      const head = parseResponseHead(text, MAX_HEADERS);
      if (head instanceof CodecError) return fail(`the proxy's answer is no head of HTTP/1: ${head.reason}`);
      const { status } = head;
      if (status < 200 && status !== 101) return NO_BODY;
      // Whatever they say of a body, answers of 2xx to CONNECT have none.
      if (status >= 200 && status < 300) opened = true;
      else finish({ reason: `tunnel_response:${status}`, answered: true, timedOut: false });
      return undefined;
    },
    messageEnd: () => parser.next(),
    bodyData: () => undefined,
    codecError: (error) => fail(`the proxy's answer is no head of HTTP/1: ${error.reason}`),
  };
  let opened = false;
  const parser = new MessageParser(answer, MAX_HEAD_BYTES, MAX_HEADERS, 0);
  const onData = (data: Buffer): void => {
    parser.execute(data);
    if (opened) finish(undefined, parser.takeRest());
  };
  const onEnd = (): void => fail('the proxy closed the connection before it had answered');
  const timer = setTimeout(
    () => finish({ reason: `tunnel: the proxy did not answer within ${timeoutMs} ms`, answered: false, timedOut: true }),
    timeoutMs,
  );
  socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', ignore);
  if (protocol === 'http2' || alpn === 'h2') {
    setImmediate(() => fail('the proxy is to be asked over HTTP/2, which is not supported'));
    return abandon;
  }
  socket.write(encodeRequest({ method: 'CONNECT', path: '', authority, headers, upgrade: 'connect' }, false, false), 'latin1');
  return abandon;
}

function ignore(): void {
  // `close` comes after it.
}
