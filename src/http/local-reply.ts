/** Replies that the proxy makes by itself, in Envoy's form; to gRPC clients as a status that they understand. */

import { table } from '../lib/table.ts';
import type { FormatRecord } from './format/record.ts';
import { HeaderMap } from './header-map.ts';
import type { ResponseFlag } from './response-flag.ts';
import type { ClusterChoice, CompiledRoute } from './routes/model.ts';

export interface LocalReply {
  readonly status: number;
  /** Text, or bytes of a direct response; empty for none. */
  readonly body: string | Uint8Array;
  /** `%RESPONSE_CODE_DETAILS%`. */
  readonly details: string;
  readonly flag?: ResponseFlag | undefined;
  /** Fields that the reply has besides, e.g. `location`. */
  readonly headers?: HeaderMap | undefined;
  /** What gRPC clients get in place of the status's own counterpart. */
  readonly grpcStatus?: number | undefined;
  /**
   * Whose changes to response headers hold: `forward` for a reply in the place of a route that sends requests on (those of the chosen cluster too), `answer`
   * for one that the route itself gives. Undefined: nobody's.
   */
  readonly ofRoute?: 'forward' | 'answer' | undefined;
}

/** The fields that a reply has of its own and by its route, before they are made complete by `localReply`. `choice`: the cluster, once one is chosen. */
export function replyHeaders(
  { headers, ofRoute }: LocalReply,
  route: CompiledRoute | undefined,
  choice: ClusterChoice | undefined,
  record: FormatRecord,
): HeaderMap | undefined {
  if (!route || ofRoute === undefined || (ofRoute === 'forward') !== (route.action.kind === 'forward')) return headers;
  const made = headers ?? new HeaderMap();
  choice?.responseMutations?.apply(made, record);
  route.responseMutations?.apply(made, record);
  return made;
}

const EMPTY = Buffer.alloc(0);

/** HTTP statuses as gRPC's, by gRPC's own table; the rest is UNKNOWN (2). */
const GRPC_STATUS: Readonly<Record<number, number>> = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 };

/** gRPC's statuses as HTTP's, as Envoy counts them; 500 for none and for those that have no counterpart. */
const HTTP_STATUS: Readonly<Record<string, number>> = table({
  '0': 200, '1': 499, '3': 400, '4': 504, '5': 404, '6': 409, '7': 403, '8': 429, '9': 400, '10': 409, '11': 400, '12': 501, '14': 503, '16': 401,
}); // biome-ignore format: a table

export function httpStatusOf(grpcStatus: string | undefined): number {
  return HTTP_STATUS[grpcStatus ?? ''] ?? 500;
}

export function isGrpc(headers: HeaderMap): boolean {
  const type = headers.get('content-type');
  if (type === undefined || !type.startsWith('application/grpc')) return false;
  return type.length === 16 || type[16] === '+';
}

/** `request`: the headers of the request that is answered; `headers`: as `replyHeaders` has made them. */
export function localReply(
  request: HeaderMap,
  { status, body, grpcStatus }: LocalReply,
  headers: HeaderMap | undefined,
): { status: number; headers: HeaderMap; body: Buffer; trailersOnly: boolean } {
  const reply = headers?.clone() ?? new HeaderMap();
  const bytes =
    typeof body === 'string'
      ? body === ''
        ? EMPTY
        : Buffer.from(body, 'utf8')
      : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (isGrpc(request)) {
    reply.set('content-type', 'application/grpc');
    reply.set('grpc-status', String(grpcStatus ?? GRPC_STATUS[status] ?? 2));
    // grpc-message is percent-encoded (gRPC over HTTP/2, "Responses").
    if (bytes.length > 0) reply.set('grpc-message', encodeGrpcMessage(bytes));
    return { status: 200, headers: reply, body: EMPTY, trailersOnly: true };
  }
  if (bytes.length > 0) {
    reply.set('content-length', String(bytes.length));
    if (!reply.has('content-type')) reply.append('content-type', 'text/plain');
  }
  return { status, headers: reply, body: bytes, trailersOnly: false };
}

function encodeGrpcMessage(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
