/** Conditions of statuses, as Kubernetes has them. Pure. */

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
