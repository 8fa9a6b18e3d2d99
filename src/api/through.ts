/** Our annotations of ServiceEntries for companies whose only way out is a forward proxy, and the mesh's default for them. */
import { isHostCoveredBy } from '../lib/no-proxy.ts';
import { PROXY_ENVIRONMENT } from '../lib/proxy-environment.ts';
import type { Metadata } from './resource.ts';

/** `HOST:PORT` of a ServiceEntry that is a forward proxy, by which the hosts are reached (CONNECT); or `direct`. */
export const THROUGH = 'sallyport.dev/through';

/** In MeshConfig's `defaultConfig.proxyMetadata`: the same for hosts outside the mesh whose ServiceEntry has no such annotation. */
export const THROUGH_DEFAULT = 'SALLYPORT_THROUGH';

/** Beside it: names, `*.suffix` patterns, addresses and CIDR ranges that it is not for, separated by commas. */
export const THROUGH_EXCEPT = 'SALLYPORT_NO_THROUGH';

/**
 * On the proxy's own ServiceEntry, which has to be in the root namespace: the environment variable, of whoever runs the mesh's proxies, that holds what the
 * forward proxy is sent as `proxy-authorization`. Its name begins with `SALLYPORT_PROXY_`, so that no other secret of the environment can be asked for.
 */
export const PROXY_AUTHORIZATION = 'sallyport.dev/proxy-authorization';

export interface ForwardProxy {
  readonly host: string;
  readonly port: number;
}

/** `malformed`: what is written names none, and everything is refused. */
export type Through = ForwardProxy | 'direct' | 'malformed';

/** Of MeshConfig. */
export interface ThroughConfig {
  readonly defaultConfig?: { readonly proxyMetadata?: Readonly<Record<string, string>> | undefined } | undefined;
}

/** What stands in front of a host. `addresses`: those that are declared for it. */
export function throughOf(
  { annotations }: Pick<Metadata, 'annotations'>,
  host: { readonly hostname: string; readonly addresses: readonly string[]; readonly meshExternal: boolean },
  config: ThroughConfig,
): Through {
  const own = annotations[THROUGH];
  if (own !== undefined) return own.trim() === 'direct' ? 'direct' : (forwardProxy(own) ?? 'malformed');
  const fallback = throughDefault(config);
  if (fallback === undefined || !host.meshExternal) return 'direct';
  if (fallback === 'malformed') return fallback;
  // The way there does not go through itself.
  if (host.hostname === fallback.host) return 'direct';
  const except = (config.defaultConfig?.proxyMetadata?.[THROUGH_EXCEPT] ?? '').split(',').map((each) => each.trim().toLowerCase());
  return isHostCoveredBy(except, host.hostname, host.addresses) ? 'direct' : fallback;
}

/** The mesh's default; undefined where there is none. */
export function throughDefault({ defaultConfig }: ThroughConfig): ForwardProxy | 'malformed' | undefined {
  const written = defaultConfig?.proxyMetadata?.[THROUGH_DEFAULT];
  return written === undefined || written.trim() === '' ? undefined : (forwardProxy(written) ?? 'malformed');
}

/** `HOST:PORT` with a name; undefined for anything else. */
export function forwardProxy(written: string): ForwardProxy | undefined {
  const [, host, digits] = /^\s*([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?):(\d{1,5})\s*$/i.exec(written) ?? [];
  const port = Number(digits);
  return host !== undefined && port > 0 && port < 65_536 ? { host: host.toLowerCase(), port } : undefined;
}

/** The variable's name, or undefined where there is none that may be named. */
export function authorizationVariable({ annotations, namespace }: Pick<Metadata, 'annotations' | 'namespace'>, rootNamespace: string) {
  const name = annotations[PROXY_AUTHORIZATION];
  if (name === undefined || namespace !== rootNamespace) return undefined;
  return name.startsWith(PROXY_ENVIRONMENT) && /^[A-Z0-9_]+$/.test(name) ? name : undefined;
}
