/** Requests on their way from one codec to the next: written as the sender's writes them, read as the receiver's reads them. */
import { encodeRequest, needsChunks } from '../http/h1/encode.ts';
import { CodecError } from '../http/h1/error.ts';
import { toHead as http1Head, readRequest as readHttp1 } from '../http/h1/request.ts';
import { Field } from '../http/h2/field.ts';
import { FieldBlock, MALFORMED } from '../http/h2/field-block.ts';
import { sentHeaders } from '../http/h2/headers.ts';
import { toHead as http2Head, requestProblem } from '../http/h2/request.ts';
import { type Head, takesExpectation } from '../http/head.ts';
import { HeaderMap } from '../http/header-map.ts';
import type { ManagerOptions } from '../http/options.ts';
import type { RouteRequest } from '../http/routes/route.ts';
import type { HttpRequest } from './call.ts';

export interface Receiver {
  readonly options: ManagerOptions;
  readonly tls: RouteRequest['tls'];
  /** Random integer of the request. */
  readonly random: number;
}

/** What the codec makes of a request; `unnamed`: it names no host; `reset`: HTTP/2 ends the stream without an answer. */
export type Arrival = Head | CodecError | 'unnamed' | { readonly reset: string; readonly flag: 'DPE' | 'DR' };

/** `headers` in place of the request's. */
export function arrive(request: HttpRequest, headers: HeaderMap, receiver: Receiver): Arrival {
  return request.version === '2' ? arriveHttp2(request, headers, receiver) : arriveHttp1(request, headers, receiver);
}

function arriveHttp1(
  { method, path, authority, emptyHost, version }: HttpRequest,
  headers: HeaderMap,
  { options, tls, random }: Receiver,
): Arrival {
  let text = `${method} ${path === '' ? authority : path} HTTP/${version}\r\n`;
  if (authority !== '' || emptyHost) text += `host: ${authority}\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  const head = readHttp1(bytes(text), options);
  if (head instanceof CodecError) return head;
  if (head.authority === undefined) return 'unnamed';
  takesExpectation(head.headers, head.seen, options.proxyContinue);
  return http1Head(head, tls, random);
}

/** Text as the characters that its bytes are to a codec. */
function bytes(text: string): string {
  return /^[\x20-\x7e\r\n]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Fields that a message of HTTP/2 must not have (RFC 9113 §8.2.2). */
const FORBIDDEN = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'];

function arriveHttp2({ method, path, authority, scheme }: HttpRequest, headers: HeaderMap, { options, tls, random }: Receiver): Arrival {
  const forbidden = FORBIDDEN.find((name) => headers.has(name));
  if (forbidden !== undefined) return { reset: `HTTP/2 has no field ${forbidden}`, flag: 'DPE' };
  const block = new FieldBlock(options);
  const pseudo = [':method', method, ':authority', authority];
  if (method !== 'CONNECT') pseudo.push(':scheme', scheme ?? (tls ? 'https' : 'http'), ':path', path);
  for (const flat of [pseudo, headers.flat]) for (let i = 0; i < flat.length; i += 2) block.add(new Field(flat[i]!, bytes(flat[i + 1]!)));
  const problem = requestProblem(block, true, options);
  // What breaks no rule of the protocol breaks a limit of the proxy's own.
  if (problem !== undefined) return { reset: problem, flag: problem === MALFORMED ? 'DPE' : 'DR' };
  takesExpectation(block.headers, block.seen, options.proxyContinue);
  return http2Head(block, true, tls, random);
}

/** The fields of a request as they go out to a server, beside Host; undefined for an upgrade over HTTP/2, which servers allow or not. */
export function sentFields(head: Head, version: HttpRequest['version']): HeaderMap | undefined {
  if (version === '2') return head.upgrade === '' ? sentHeaders(head.headers) : undefined;
  const end = !head.hasBody;
  const lines = encodeRequest(head, end, needsChunks(head, end)).split('\r\n').slice(2, -2);
  return new HeaderMap(
    lines.flatMap((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
}
