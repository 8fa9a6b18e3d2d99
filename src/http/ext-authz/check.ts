/** How an authorizer is asked: what of a request it is told, and what its answer means. Over HTTP and over gRPC. */

import type { JsonObject } from '@bufbuild/protobuf';
import type { FormatRecord } from '../format/record.ts';
import type { Head } from '../head.ts';
import type { HeaderMap } from '../header-map.ts';
import { mayBeSet } from '../outgoing-problem.ts';
import type { JudgedConnection } from '../rbac/subject.ts';
import type { SideAnswer, SideCall } from '../side-call.ts';

/** What is checked. */
export interface CheckedRequest {
  readonly head: Head;
  readonly connection: JudgedConnection;
  readonly record: FormatRecord;
  /** When it came, ms since the epoch. */
  readonly startTime: number;
  /** What is sent of its body; undefined where bodies are not looked at. */
  readonly body: CheckedBody | undefined;
}

export interface CheckedBody {
  readonly bytes: Buffer;
  /** There is more of it than the authorizer is told. */
  readonly partial: boolean;
}

export type CheckVerdict =
  | {
      readonly kind: 'allowed';
      /** Changes the request; undefined for nothing to change. */
      readonly edit: ((head: Head) => void) | undefined;
      /** Changes the response. */
      readonly mark: ((headers: HeaderMap) => void) | undefined;
      readonly metadata: JsonObject | undefined;
    }
  | {
      readonly kind: 'denied';
      readonly status: number;
      readonly body: Buffer;
      readonly headers: HeaderMap;
      readonly metadata: JsonObject | undefined;
    }
  /** There is no answer that says either. */
  | { readonly kind: 'error' };

export const CHECK_ERROR: CheckVerdict = { kind: 'error' };

export interface Check {
  /** The authorizer's cluster. */
  readonly cluster: string;
  call(request: CheckedRequest): SideCall;
  /** `answer`: undefined where there is none. */
  read(answer: SideAnswer | undefined): CheckVerdict;
}

/** Where an authorizer is told that it does not see all of a body. */
export const PARTIAL_BODY = 'x-envoy-auth-partial-body';

/** What of the head the authorizer is told: by the names that Envoy has for it, values of one name joined. */
export function toldHeaders({ head, body }: CheckedRequest, tells: (name: string) => boolean): Map<string, string> {
  const told = new Map<string, string>();
  const add = (name: string, value: string) => {
    if (!tells(name)) return;
    const before = told.get(name);
    told.set(name, before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ','}${value}`);
  };
  add(':authority', head.authority);
  add(':path', head.path);
  add(':method', head.method);
  add(':scheme', head.scheme);
  for (const [name, value] of head.headers) if (name !== PARTIAL_BODY && name !== 'host') add(name, value);
  if (body) told.set(PARTIAL_BODY, String(body.partial));
  return told;
}

/** Changes one field of a request, also where HTTP/2 has a pseudo-header for it. */
export function setField(head: Head, name: string, value: string): void {
  switch (name) {
    case ':authority':
    case 'host':
      head.authority = value;
      break;
    case ':path':
      head.path = value;
      break;
    case ':method':
      head.method = value;
      break;
    case ':scheme':
      head.scheme = value;
      break;
    default:
      if (!name.startsWith(':') && mayBeSet(name)) head.headers.set(name, value);
  }
}

/** A request that names no host, or no path, is none. */
export function removeField(head: Head, name: string): void {
  if (!name.startsWith(':') && name !== 'host' && mayBeSet(name)) head.headers.remove(name);
}
