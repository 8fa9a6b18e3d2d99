/** What is guarded of egress, and who may widen it. */

/** On a namespace: the egress of its workloads is guarded. */
export const GUARD_LABEL = 'sallyport.dev/egress-guard';

export interface GuardOptions {
  /** Which namespaces are guarded: those with the label, or all. */
  readonly namespaces: 'labelled' | 'all';
  /** Who may widen egress: groups, and users as `user:NAME`. */
  readonly allowed: readonly string[];
}
