/** Other tools whose lists of allowed hosts are read. */
export const LIST_FORMS = ['smokescreen', 'harden-runner', 'squid', 'cilium'] as const;
export type ListForm = (typeof LIST_FORMS)[number];

/** What was read of a list. */
export interface ConvertedList {
  readonly policies: readonly ConvertedPolicy[];
  /** What could not be carried over, a sentence each, with its place in the list. */
  readonly left: readonly string[];
}

export interface ConvertedPolicy {
  readonly name: string;
  readonly namespace: string;
  readonly from?: readonly object[];
  readonly to: readonly ConvertedDestination[];
  readonly reason?: string;
  readonly owner?: string;
}

export interface ConvertedDestination {
  readonly hosts: readonly string[];
  readonly ports?: readonly number[];
  readonly protocol?: 'HTTP' | 'TLS' | 'TCP';
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
}
