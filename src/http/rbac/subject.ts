/** What a policy is asked about: a connection, and the request on it where there is one. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { Certificate, SocketEnd } from '../connection.ts';
import type { HeaderSource } from '../routes/header.ts';

/** What a filter reads of the connection that a request came on. The data plane's own connection object serves as it is. */
export interface JudgedConnection {
  /** The client: that of x-forwarded-for, where it is believed. */
  readonly remoteAddress: SocketEnd;
  /** The connection's own peer. */
  readonly directRemoteAddress: SocketEnd;
  readonly localAddress: SocketEnd;
  /** SNI, or empty; also of TLS that is passed through. */
  readonly serverName: string;
  /** Undefined without TLS, or where TLS does not end here. `peer`: the client's certificate; `local`: the one that was served. */
  readonly tls: { readonly peer: Certificate | undefined; readonly local?: Certificate | undefined } | undefined;
}

/** By the name of the filter that made it. */
export type DynamicMetadata = Readonly<Record<string, JsonObject>>;

/** A call that stands for others (simulation): what of it may be otherwise. Path, method, headers and addresses of the client may always be. */
export interface OpenCall {
  /** The names and wildcards that the request's authority stands for; undefined: any. */
  readonly hosts: readonly string[] | undefined;
  /** Whether the client's certificate may be another. */
  readonly peer: boolean;
}

export interface RbacSubject {
  readonly connection: JudgedConnection;
  /** Undefined for a connection of which nothing is known but bytes. */
  readonly head: HeaderSource | undefined;
  readonly metadata: DynamicMetadata | undefined;
  /** Undefined: nothing may be otherwise. */
  readonly open?: OpenCall | undefined;
}

/** Undefined: true of some of the calls that the subject stands for, or of none or all of them. */
export type Truth = boolean | undefined;

export type Matcher = (subject: RbacSubject) => Truth;

/** What was known before and what is new: of one filter, later values of a key replace earlier ones. */
export function withMetadata(before: DynamicMetadata | undefined, made: DynamicMetadata): DynamicMetadata {
  if (before === undefined) return made;
  const result: Record<string, JsonObject> = { ...before };
  for (const [filter, values] of Object.entries(made)) result[filter] = { ...result[filter], ...values };
  return result;
}
