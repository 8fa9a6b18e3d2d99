/** Conditions as the Gateway API's statuses have them. */

/** Without the time of its last change, which is for the writer to keep. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

/** A condition of an object, of whose generation it speaks. */
export function conditionsFor({ metadata: { generation } }: { readonly metadata: { readonly generation?: number } }) {
  return (type: string, holds: boolean, reason: string, message: string): Condition => ({
    type,
    status: holds ? 'True' : 'False',
    reason,
    // As much as the API takes.
    message: message.slice(0, MOST_TEXT),
    ...(generation !== undefined && { observedGeneration: generation }),
  });
}

const MOST_TEXT = 32_768;

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
