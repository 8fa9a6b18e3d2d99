import { type Infer, list, map, object, port, string, withDefault } from './schema.ts';

const network = object({
  endpoints: list(object({ fromCidr: string(), fromRegistry: string() }, { atMostOne: [['fromCidr', 'fromRegistry']] })),
  gateways: list(
    object(
      { registryServiceName: string(), address: string(), port: port(), locality: withDefault(string(), '') },
      { atMostOne: [['registryServiceName', 'address']] },
    ),
  ),
});

/** Istio's MeshNetworks: which endpoints are in which network, and the gateways into it. */
export const meshNetworks = object({ networks: map(network) });
export type MeshNetworks = Infer<typeof meshNetworks>;
