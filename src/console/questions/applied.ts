/** The configuration of a cluster as it would be with some objects applied. */
import { decodeDocuments } from '../../api/documents.ts';
import { originOf } from '../../api/resource.ts';
import { ClusterObjects } from '../../config/kubernetes/cluster-objects.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { Store } from '../../config/store.ts';
import { SallyportError } from '../../lib/errors.ts';
import { originText } from '../../lib/origin.ts';

/** As findings name what was pasted. */
export const PASTED = 'what is applied';

/** What has values of its own to say, or decides how all of it is read: not for a page. */
const NOT_TAKEN: ReadonlySet<string> = new Set(['Secret', 'ConfigMap']);

/**
 * @param namespaces the only ones whose objects may be among these; undefined: all
 * @throws SallyportError `not-seen` for an object elsewhere, `usage` for none, and for kinds that are not taken
 */
export function withApplied(cluster: Snapshot, text: string, namespaces: readonly string[] | undefined): Snapshot {
  const [only, ...more] = namespaces ?? [];
  const store = new Store();
  store.set(PASTED, decodeDocuments(text, PASTED, { namespace: only !== undefined && more.length === 0 ? only : 'default' }));
  const files = store.snapshot();
  const written = files.all().filter(({ derivedFrom }) => !derivedFrom);
  if (written.length === 0 && files.findings.length === 0) throw new SallyportError('usage', 'there is no object in what is to be applied');
  for (const resource of written) {
    const { kind, metadata } = resource;
    if (NOT_TAKEN.has(kind)) throw new SallyportError('usage', `a ${kind} is not taken here: sallyport diff --kube compares it, too`);
    if (namespaces && !namespaces.includes(metadata.namespace))
      throw new SallyportError(
        'not-seen',
        `${originText(originOf(resource))} is in no namespace that you may see: what it changes is not told to you`,
      );
  }
  const objects = ClusterObjects.of(cluster);
  objects.layOver(files);
  return objects.snapshot();
}
