/**
 * How long a connection may take until a filter chain has it. There is no way to say for ever: a client that says nothing, or half of what is waited for,
 * holds a file descriptor and nothing frees it.
 */
export interface Bounds {
  /** Until the first byte, in ms. */
  readonly silentMs: number;
  /** From the first byte on until the filters have seen enough, in ms. */
  readonly unfinishedMs: number;
}

/** Where `listener_filters_timeout` is 0. Clients may open connections long before they use them: TCP proxies let them idle for as long by default. */
const UNLIMITED: Bounds = { silentMs: 3_600_000, unfinishedMs: 60_000 };

/** Clients of the explicit proxy open connections ahead of their requests, and SOCKS5 greets and asks in turn. */
export const EXPLICIT_PROXY_BOUNDS: Bounds = { silentMs: 300_000, unfinishedMs: 60_000 };

/** Beyond what a question may take, in ms. */
const BEYOND_MS = 5000;

/** Where calls are held for so many ms while somebody is asked. */
export function heldBounds(longestMs: number, others: Bounds = { silentMs: 0, unfinishedMs: 0 }): Bounds {
  const ms = longestMs + BEYOND_MS;
  return { silentMs: Math.max(ms, others.silentMs), unfinishedMs: Math.max(ms, others.unfinishedMs) };
}

/** A time that runs, and what tells it from the one before: the same time runs on. */
export interface Bound {
  readonly phase: 'silent' | 'unfinished' | 'filters';
  readonly ms: number;
}

/** What bounds the wait at a filter. `own`: the filter's; `filtersTimeoutMs`: the listener's, over all filters without their own; `heard`: a byte has come. */
export function boundOf(own: Bounds | undefined, filtersTimeoutMs: number, heard: boolean): Bound {
  if (own === undefined && filtersTimeoutMs > 0) return { phase: 'filters', ms: filtersTimeoutMs };
  const { silentMs, unfinishedMs } = own ?? UNLIMITED;
  return heard ? { phase: 'unfinished', ms: unfinishedMs } : { phase: 'silent', ms: silentMs };
}
