/** The redirect action, and the redirect to HTTPS of `require_tls`. Location is formed as Envoy forms it. */
import type { RedirectAction as RedirectConfig } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { portStart } from '../authority.ts';
import type { RedirectAction, RouteRequest } from './model.ts';
import type { PathMatcher } from './path.ts';
import { compilePathRewrite } from './rewrite.ts';

/** By RedirectResponseCode. */
const STATUS = [301, 302, 303, 307, 308] as const;

export function compileRedirect(config: RedirectConfig, matcher: PathMatcher): RedirectAction {
  const { schemeRewriteSpecifier: scheme, pathRewriteSpecifier: path, hostRedirect, portRedirect, stripQuery } = config;
  const newScheme = scheme.case === 'schemeRedirect' ? scheme.value : scheme.case === 'httpsRedirect' && scheme.value ? 'https' : '';
  const newPort = portRedirect > 0 ? `:${portRedirect}` : '';
  const rewrite = compilePathRewrite(
    matcher,
    path.case === 'prefixRewrite' ? path.value : '',
    path.case === 'regexRewrite' ? path.value : undefined,
  );
  const newPath = path.case === 'pathRedirect' ? path.value : '';
  return {
    kind: 'redirect',
    status: STATUS[config.responseCode] ?? 301,
    location(request) {
      const target = newScheme || request.scheme;
      const host = hostRedirect || requestHost(request, target, newPort);
      let location = newPath ? replacePath(newPath, request.path) : rewrite ? rewrite(request.path) : request.path;
      // A query that the configuration itself gives is never stripped.
      if (stripQuery && !newPath.includes('?')) location = location.split('?', 1)[0]!;
      return `${target}://${host}${newPort}${location}`;
    },
  };
}

/** The new path takes the request's query over, unless it brings one of its own. */
function replacePath(newPath: string, path: string): string {
  const query = path.indexOf('?');
  return newPath.includes('?') || query < 0 ? newPath : newPath + path.slice(query);
}

/** The request's host; without its port if a new one is set, or if it is the default port of a scheme that changes. */
function requestHost({ authority, scheme }: RouteRequest, newScheme: string, newPort: string): string {
  const colon = portStart(authority);
  if (colon < 0) return authority;
  const port = authority.slice(colon);
  const isDefault = newScheme !== scheme && ((scheme === 'https' && port === ':443') || (scheme === 'http' && port === ':80'));
  return newPort !== '' || isDefault ? authority.slice(0, colon) : authority;
}

/** What a virtual host with `require_tls` answers on plain connections: host and port stay as they are. */
export const TLS_REDIRECT: RedirectAction = {
  kind: 'redirect',
  status: 301,
  location: ({ authority, path }) => `https://${authority}${path}`,
};
