/** Copies of requests that a route sends elsewhere as well (`request_mirror_policies`). Pure. */
import type { ForwardAction } from '../http/routes/route.ts';
import type { HttpRequest } from './call.ts';

export interface Mirror {
  /** Undefined where a header of the request names it. */
  readonly cluster: string | undefined;
  readonly clusterHeader: string | undefined;
  /** `every request`, `10% of requests`. */
  readonly share: string;
  /** The copy of a request as it goes out. */
  copy(request: HttpRequest): HttpRequest;
}

/** Those that ever happen. */
export function mirrorsOf({ mirrors }: ForwardAction): Mirror[] {
  return mirrors
    .filter(({ share }) => share > 0)
    .map(({ cluster, clusterHeader, share, appendShadowSuffix }) => ({
      cluster: clusterHeader === undefined ? cluster : undefined,
      clusterHeader,
      share: percent(share),
      copy: (request) => ({ ...request, authority: appendShadowSuffix ? shadowed(request.authority) : request.authority }),
    }));
}

export function percent(share: number): string {
  return share === 1 ? 'every request' : `${Number((share * 100).toFixed(4))}% of requests`;
}

/** As the data plane names the host of a copy: `-shadow` goes before the port. */
function shadowed(authority: string): string {
  return authority.replace(/(:\d+)?$/, (port) => `-shadow${port}`);
}
