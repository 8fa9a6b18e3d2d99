/** Statuses as the Gateway API has them. */
import type { Condition } from '../../api/condition.ts';

/** The kinds that get a status, as documents call them. */
export const STATUS_KINDS = [
  'GatewayClass',
  'Gateway',
  'ListenerSet',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'BackendTLSPolicy',
] as const;
export type StatusKind = (typeof STATUS_KINDS)[number];

/** A status that an object is to have. */
export interface WantedStatus {
  readonly kind: StatusKind;
  readonly namespace: string;
  readonly name: string;
  readonly status: StatusFields;
}

/** The entry of one parent, of routes, or of one ancestor, of policies. */
export interface ParentStatus {
  readonly ref: Readonly<Record<string, string | number>>;
  readonly conditions: readonly Condition[];
}

/** What is said of an object; what others say of it stands beside it. */
export interface StatusFields {
  readonly conditions?: readonly Condition[];
  readonly parents?: readonly ParentStatus[];
  readonly ancestors?: readonly ParentStatus[];
  readonly addresses?: readonly GatewayAddress[];
  readonly listeners?: readonly ListenerStatus[];
  readonly attachedListenerSets?: number;
  readonly supportedFeatures?: readonly { readonly name: string }[];
}

export interface GatewayAddress {
  readonly type: 'IPAddress' | 'Hostname';
  readonly value: string;
}

export interface ListenerStatus {
  readonly name: string;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly attachedRoutes: number;
  readonly conditions: readonly Condition[];
}
