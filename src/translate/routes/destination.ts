/** From a destination as routes write it to the name of a cluster. */
import type { Destination } from '../../api/common.ts';
import type { Service } from '../../registry/model.ts';
import { outboundClusterName } from '../names.ts';

/**
 * The cluster that a destination means. Without a port it is the service's only one, else the one on which the request came. The cluster need
 * not exist: a request to it then ends in 503 `NC`, which says more than a route that is missing.
 */
export function destinationCluster(destination: Destination, service: Service | undefined, listenPort: number): string {
  const port = destination.port?.number || (service?.ports.length === 1 ? service.ports[0]!.number : listenPort);
  return outboundClusterName(service?.externalName ?? destination.host, port, destination.subset);
}
