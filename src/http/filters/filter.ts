/**
 * HTTP filters: the last of them, the router, takes the route's action. Each judges a request without doing anything (simulation tries every way that its
 * chances leave), and runs by that judgement in the data plane. One instance serves all requests of a connection manager.
 */

import type { AskedCredential } from '../../lib/contained.ts';
import type { PlacedOrigin } from '../../lib/origin.ts';
import type { Redacted } from '../../lib/redacted.ts';
import type { BodyEncoding } from '../compression/encoding.ts';
import type { Injected } from '../credentials.ts';
import type { FormatRecord } from '../format/record.ts';
import type { Head } from '../head.ts';
import type { HeaderMap } from '../header-map.ts';
import type { LocalReply } from '../local-reply.ts';
import type { DynamicMetadata, JudgedConnection, OpenCall } from '../rbac/subject.ts';
import type { ResponseFlag } from '../response-flag.ts';
import type { CompiledRoute, ForwardAction } from '../routes/model.ts';
import type { SideAnswer, SideCall } from '../side-call.ts';

/** What a filter reads of a request. */
export interface JudgedRequest {
  readonly head: Head;
  /** Undefined where none matches. */
  readonly route: CompiledRoute | undefined;
  /** The connection that it came on. */
  readonly client: JudgedConnection;
  /** When it came, ms since the epoch; NaN where no time is to count (simulation). */
  readonly now: number;
  /** What filters before this one noted; undefined for nothing. */
  readonly metadata: DynamicMetadata | undefined;
  /** Of a request that stands for others: what may be otherwise. */
  readonly open?: OpenCall | undefined;
}

export interface Chance {
  /** How many requests of all, from 0 to 1. */
  readonly share: number;
  /** Whether it happens to the request that drew this random integer. */
  happens(random: number): boolean;
}

export const CERTAIN: Chance = { share: 1, happens: () => true };

export interface Answer {
  readonly reply: LocalReply;
  readonly chance: Chance;
  /** Why, as a clause that names what answers. */
  because(): string;
  /** Whether chance or a fixed rule answers so, not something that this request alone has. */
  readonly always: boolean;
  /** What made it answer so, where that is not the route. */
  readonly origins?: readonly PlacedOrigin[];
}

/** What becomes of a request at a filter: first the delay, then the answer; what is not answered goes on. */
export interface Judgement {
  readonly delay: { readonly ms: number; readonly chance: Chance } | undefined;
  readonly answer: Answer | undefined;
  /** Changes the head of the response. */
  readonly mark: ((headers: HeaderMap) => void) | undefined;
  /** What it notes of the request, for filters after it and for logs. */
  readonly metadata?: DynamicMetadata;
  /** Changes the request before the next filter sees it. */
  readonly edit?: (head: Head) => void;
  /** What it puts in as the request leaves, which its head does not show. */
  readonly injects?: Injects;
  /** Whether the route is chosen again after that. */
  readonly reroutes?: boolean;
  /** Of simulation: what becomes of the request is not known from its configuration alone. The data plane does not read it. */
  readonly undecided?: Undecided | undefined;
}

export interface Undecided {
  /** Why, as a clause that names what decides. */
  readonly why: string;
  readonly origins?: readonly PlacedOrigin[];
}

export interface Injects {
  /** For which it is, and no other. */
  readonly host: string;
  /** Some of it goes by clusters of EgressPolicies alone. */
  readonly policy: boolean;
  /** What goes where, as clauses. */
  readonly texts: readonly string[];
  /** Each credential by the name of its rule, with the answer where its value can not be had. */
  readonly values: readonly { readonly name: string; readonly lacking: LocalReply }[];
}

export const PASS: Judgement = { delay: undefined, answer: undefined, mark: undefined };

/** `stop`: the filter has answered, holds the request until `proceed`, or was the last. */
export type FilterStatus = 'continue' | 'stop';

export interface HttpFilter {
  /** The name under which routes configure it (`typed_per_filter_config`). */
  readonly name: string;
  judge(request: JudgedRequest): Judgement;
  run(stream: FilterStream): FilterStatus;
  /** What it answers some requests, as a clause, where that hangs on others that came before. */
  limit?(request: JudgedRequest): string | undefined;
  /** Of the last filter: how it sends requests on. */
  readonly router: RouterSettings | undefined;
}

export interface RouterSettings {
  /** False with `suppress_envoy_headers`: no `x-envoy-*` in requests and responses. */
  readonly envoyHeaders: boolean;
}

/** Fills all the time, up to `most`; each request takes one. Who takes from it keeps what is left (`Tokens`). */
export interface TokenBucket {
  /** The same for the same limit at the same place, in every thread. */
  readonly key: bigint;
  readonly most: number;
  /** Milliseconds for one token. */
  readonly perToken: number;
}

/**
 * Changes the head of a response, and may say how its body is encoded from here on. `end`: there is no body, or what follows is none.
 * Filters that come later have had it before.
 */
export type ResponseMark =
  | ((headers: HeaderMap) => void)
  | ((headers: HeaderMap, status: number, end: boolean) => BodyEncoding | undefined);

/** Buckets that all threads of the proxy share. */
export interface Tokens {
  /** Takes so many tokens, one unless said; false where there are not so many. */
  take(bucket: TokenBucket, wanted?: number): boolean;
  /** Gives up a bucket: if it is asked again, it is full. */
  fill(bucket: TokenBucket): void;
}

/** What a running filter may do with a request. The data plane's exchange implements it. */
export interface FilterStream extends JudgedRequest {
  /** An integer, 0 ≤ n < 2^53, another one each time. */
  random(): number;
  addFlag(flag: ResponseFlag): void;
  /** Adds to what is known of the request by the names of filters. */
  note(metadata: DynamicMetadata): void;
  reply(reply: LocalReply): void;
  /** Has the head of the response changed on its way to the client, that of a local reply included. */
  onResponse(mark: ResponseMark): void;
  /** Waits; `done` is called once, with `over` where the request ended before the time was up. */
  hold(ms: number, done: (over: boolean) => void): void;
  /** What is logged of the request; header formats read it. */
  readonly record: FormatRecord;
  /** Calls a server for the filter's own sake; `done` is called once, possibly before this returns, unless the request ends before. Undefined: no answer. */
  ask(call: SideCall, done: (answer: SideAnswer | undefined) => void): void;
  /**
   * Reads the body before the request goes on, which then has it whole. `done` is called once, possibly before this returns, when the body has ended, or
   * with `partial` when there are `most` bytes; with the first of them, and whether there are more at hand. A longer body is answered 413 without `partial`.
   */
  readBody(most: number, partial: boolean, done: (first: Buffer, more: boolean) => void): void;
  /**
   * Asks for the value of a credential that is for this host. `done` is called once, possibly before this returns, unless the request ends before. Undefined:
   * there is none, and why has been said.
   */
  credential(credential: AskedCredential, host: string, done: (value: Redacted | undefined) => void): void;
  /** Written into the request as it goes out, where it goes to their host by verified TLS or stays near. */
  injected: readonly Injected[] | undefined;
  /** The buckets of the proxy; undefined where there are no tokens to be had. */
  readonly tokens: Tokens | undefined;
  /** Chooses the route again, as the request is by now. */
  reroute(): void;
  /** After `stop`: goes on with the next filter. */
  proceed(): void;
  /** Sends the request upstream, by its route. */
  forward(action: ForwardAction, settings: RouterSettings): void;
}
