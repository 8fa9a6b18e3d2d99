import { boolean, type Infer, list, object, string, withDefault } from '../schema.ts';

export const node = object({ podCIDR: string(), podCIDRs: list(string()), providerID: string(), unschedulable: boolean() }, { open: true });
export type Node = Infer<typeof node>;

export const nodeStatus = object(
  {
    addresses: list(object({ type: withDefault(string(), ''), address: withDefault(string(), '') })),
    nodeInfo: object({ kubeletVersion: withDefault(string(), '') }, { open: true }),
  },
  { open: true },
);
export type NodeStatus = Infer<typeof nodeStatus>;
