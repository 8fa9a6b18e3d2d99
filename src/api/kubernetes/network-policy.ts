import { enumeration, type Infer, integer, intOrString, list, object, required, string } from '../schema.ts';
import { kubernetesLabelSelector, transportProtocol } from './common.ts';

const ports = list(object({ protocol: transportProtocol, port: intOrString(), endPort: integer(1, 65535) }));

const peers = list(
  object({
    podSelector: kubernetesLabelSelector,
    namespaceSelector: kubernetesLabelSelector,
    ipBlock: object({ cidr: required(string()), except: list(string()) }),
  }),
);

export const networkPolicy = object({
  podSelector: required(kubernetesLabelSelector),
  policyTypes: list(enumeration('Ingress', 'Egress')),
  ingress: list(object({ ports, from: peers })),
  egress: list(object({ ports, to: peers })),
});
export type NetworkPolicy = Infer<typeof networkPolicy>;
