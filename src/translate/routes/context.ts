import type { MeshConfig } from '../../api/index.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { Scope } from '../scope.ts';

/** For whom and for which port routes are built. */
export interface RouteContext {
  readonly proxy: ProxyIdentity;
  readonly scope: Scope;
  readonly config: MeshConfig;
  /** The port as services and Gateways name it, not the one that is bound. */
  readonly port: number;
  /** `mesh`, or `namespace/name` of the Gateway. */
  readonly gateway: string;
  /** True where the listener has terminated TLS. */
  readonly tls: boolean;
}
