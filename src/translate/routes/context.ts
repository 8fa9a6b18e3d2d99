import type { HttpMatchRequest, MeshConfig } from '../../api/index.ts';
import type { Scope } from '../scope.ts';

/** What routes follow from besides the VirtualService: they are kept, so that nothing else of the proxy is here. */
export interface RouteContext {
  readonly config: MeshConfig;
  /** Knows the hosts to which the VirtualService routes. */
  readonly destinations: Destinations;
  /** The port as services and Gateways name it, not the one that is bound. */
  readonly port: number;
  /** `mesh`, or `namespace/name` of the Gateway. */
  readonly gateway: string;
  /** True where the listener has terminated TLS. */
  readonly tls: boolean;
  /** The matches whose conditions on the source do not hold for the proxy. */
  readonly foreign: ReadonlySet<HttpMatchRequest>;
}

export type Destinations = Pick<Scope, 'serviceFor' | 'destinationRuleFor'>;
