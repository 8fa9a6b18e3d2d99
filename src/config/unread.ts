/** Objects of a cluster that may not be read: whether they are there is not known. */
import type { Snapshot } from './snapshot.ts';

export function isUnread({ findings }: Snapshot, kind: 'Secret' | 'ConfigMap', namespace: string, name: string): boolean {
  return findings.some(
    ({ code, origin }) => code === 'SP0016' && origin.kind === kind && origin.namespace === namespace && origin.name === name,
  );
}
