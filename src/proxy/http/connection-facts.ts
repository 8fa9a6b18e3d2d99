/** What all requests of one client connection share. */
import { routeTls } from '../../http/head.ts';
import type { RouteRequest } from '../../http/routes/route.ts';
import type { Downstream } from '../types.ts';

export interface ConnectionFacts {
  readonly downstream: Downstream;
  readonly tls: RouteRequest['tls'];
  readonly scheme: 'http' | 'https';
}

export function connectionFacts(downstream: Downstream): ConnectionFacts {
  return { downstream, tls: routeTls(downstream.tls), scheme: downstream.tls ? 'https' : 'http' };
}
