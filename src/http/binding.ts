/** Requests and connections whose destinations are bound (`xds/match/binding.ts`): what is read of them, and how they are refused. Data plane and simulation share it. */
import type { Metadata } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type Binding,
  type BoundCall,
  bindingOf,
  type Disagreement,
  disagreement,
  disagreementDetails,
  disagreementText,
} from '../xds/match/binding.ts';
import { splitAuthority } from './authority.ts';
import type { Certificate, SocketEnd } from './connection.ts';
import type { Head } from './head.ts';
import { HeaderMap } from './header-map.ts';
import type { LocalReply } from './local-reply.ts';
import { hidesDotSegments } from './path-normalization.ts';
import type { CompiledRoute } from './routes/model.ts';

/** What binding reads of a connection. The data plane's own connection object serves as it is. */
export interface BoundConnection {
  readonly asked?: string | undefined;
  /** SNI, or empty; also of TLS that is passed through. */
  readonly serverName: string;
  readonly localAddress: SocketEnd;
  /** Whether `localAddress` is where the client wanted to go, and not the proxy's own. */
  readonly localAddressRestored: boolean;
  readonly tls: { readonly peer: Pick<Certificate, 'uriSans'> | undefined } | undefined;
}

/** The reply's header that says why the proxy refused. */
const REFUSED_HEADER = 'x-sallyport-refused';

/** The two that disagree, or undefined. `authority` of a request; undefined where no HTTP is spoken. */
export function boundDisagreement(binding: Binding, connection: BoundConnection, authority: string | undefined): Disagreement | undefined {
  return disagreement(binding, boundCall(connection, authority));
}

function boundCall(
  { asked, serverName, localAddress, localAddressRestored, tls }: BoundConnection,
  authority: string | undefined,
): BoundCall {
  // Between proxies of the mesh the server name is theirs, and not what an application asked for.
  const between = tls?.peer?.uriSans.some((uri) => uri.startsWith('spiffe://')) ?? false;
  return {
    asked,
    serverName: between ? undefined : serverName,
    authority: authority === undefined ? undefined : splitAuthority(authority, 0),
    dialled: localAddressRestored ? localAddress : undefined,
  };
}

/** The flag of what is refused: there is no route to two destinations at once. */
export const BINDING_FLAG = 'NR';

export function bindingReply(found: Disagreement): LocalReply {
  return {
    status: 403,
    body: `sallyport: refused: ${disagreementText(found)}`,
    details: disagreementDetails(found),
    flag: BINDING_FLAG,
    headers: new HeaderMap([REFUSED_HEADER, 'binding']),
  };
}

/** `%CONNECTION_TERMINATION_DETAILS%` of what goes on in mode `audit` though it disagrees: the default format of access logs has it. */
export function auditDetails(found: Disagreement): string {
  return disagreementDetails(found).replace('binding_refused', 'binding_audit');
}

/** Undefined where a request agrees, or is not bound; else the answer to it, or in mode `audit` what its record says. */
export function judgeBinding(
  route: CompiledRoute | undefined,
  cluster: Metadata | undefined,
  connection: BoundConnection,
  { authority, path }: Pick<Head, 'authority' | 'path'>,
): { readonly reply: LocalReply } | { readonly reply?: undefined; readonly audit: string } | undefined {
  const binding = requestBinding(route, cluster);
  const found = binding && boundDisagreement(binding, connection, authority);
  const hidden = hiddenPath(binding, path);
  if (hidden) return { reply: hidden };
  if (!found) return undefined;
  return binding.mode === 'enforce' ? { reply: bindingReply(found) } : { audit: auditDetails(found) };
}

/** The answer to a request for a bound host whose path its server may read as another, so that what is allowed of its paths would not hold. */
export function hiddenPath(binding: Binding | undefined, path: string): LocalReply | undefined {
  if (binding?.mode !== 'enforce' || !hidesDotSegments(path)) return undefined;
  return {
    status: 403,
    body: 'sallyport: refused: escapes in the path hide dot segments, so that the server may read it as another than the one that was allowed',
    details: 'binding_refused{path}',
    flag: BINDING_FLAG,
    headers: new HeaderMap([REFUSED_HEADER, 'binding']),
  };
}

/** That of the host which was called counts before that of the cluster to which its routes lead. */
export function requestBinding(route: CompiledRoute | undefined, cluster: Metadata | undefined): Binding | undefined {
  return bindingOf(route?.virtualHost.config.metadata) ?? bindingOf(cluster);
}
