import { boolean, type Infer, integer, list, map, object, port, required, string, withDefault } from '../schema.ts';
import { transportProtocol } from './common.ts';

const securityContext = object({ runAsUser: integer(), runAsGroup: integer() }, { open: true });

const container = object(
  {
    name: withDefault(string(), ''),
    image: string(),
    env: list(object({ name: withDefault(string(), ''), value: string() }, { open: true })),
    securityContext,
    ports: list(
      object({
        name: withDefault(string(), ''),
        containerPort: required(port()),
        protocol: transportProtocol,
        hostPort: integer(),
        hostIP: string(),
      }),
    ),
  },
  { open: true },
);

/** The parts of a pod's spec that the mesh reads. */
export const podSpec = object(
  {
    serviceAccountName: string(),
    nodeName: string(),
    hostNetwork: boolean(),
    hostname: string(),
    subdomain: string(),
    containers: list(container),
    initContainers: list(container),
    securityContext,
  },
  {
    open: true,
    old: { serviceAccount: string() },
    normalise: (value, old) => {
      value.serviceAccountName ??= old.serviceAccount;
    },
  },
);
export type Pod = Infer<typeof podSpec>;

/** What a pod's status says of where and whether it runs. */
export const podStatus = object(
  {
    phase: string(),
    podIP: string(),
    podIPs: list(object({ ip: withDefault(string(), '') })),
    hostIP: string(),
    conditions: list(object({ type: withDefault(string(), ''), status: withDefault(string(), '') }, { open: true })),
  },
  { open: true },
);
export type PodStatus = Infer<typeof podStatus>;

export const podTemplate = object({
  metadata: object({ labels: map(string()), annotations: map(string()) }, { open: true }),
  spec: podSpec,
});
