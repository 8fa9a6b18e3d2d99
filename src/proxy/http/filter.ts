/**
 * HTTP filters between the connection manager and the router. One instance serves all requests of a filter chain; what it keeps of a request it
 * keeps in closures or in `exchange.filterState`.
 */
import type { HeaderMap } from '../../http/header-map.ts';
import type { Exchange } from './exchange.ts';

/** `stop`: the filter has replied, or calls `exchange.continueFilters()` later; the body waits. */
export type FilterStatus = 'continue' | 'stop';

export interface HttpFilter {
  /** The name under which routes configure it (`typed_per_filter_config`). */
  readonly name: string;
  onRequest(exchange: Exchange): FilterStatus;
  /** The head of the response, local replies included, on its way to the client; filters are called in reverse order. */
  onResponse?(exchange: Exchange, status: number, headers: HeaderMap): void;
  /** The request is over while the filter held it. */
  onDestroy?(exchange: Exchange): void;
}
