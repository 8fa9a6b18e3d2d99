/** Copies of requests that a route sends elsewhere as well (`request_mirror_policies`). Pure. */
import type { ForwardAction } from '../http/routes/route.ts';

export interface Mirror {
  /** Undefined where a header of the request names it. */
  readonly cluster: string | undefined;
  readonly clusterHeader: string | undefined;
  /** `every request`, `10% of requests`. */
  readonly share: string;
  /** Whether `-shadow` is appended to the host. */
  readonly shadows: boolean;
}

/** Those that ever happen. */
export function mirrorsOf({ mirrors }: ForwardAction): Mirror[] {
  return mirrors
    .filter(({ share }) => share > 0)
    .map(({ cluster, clusterHeader, share, appendShadowSuffix }) => ({
      cluster: clusterHeader === undefined ? cluster : undefined,
      clusterHeader,
      share: percent(share),
      shadows: appendShadowSuffix,
    }));
}

export function percent(share: number): string {
  return share === 1 ? 'every request' : `${Number((share * 100).toFixed(4))}% of requests`;
}
