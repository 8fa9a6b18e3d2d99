/** Objects that were made of others, from one snapshot to the next: what is made of the same to the same effect stays the same object. */
import { keepList, sameContent } from '../lib/same.ts';
import type { Kind, ResourceOf } from './index.ts';

/** Those of before that come out the same, and the others as they are now. */
export function keepDerived(
  before: readonly ResourceOf<Kind>[] | undefined,
  derived: readonly ResourceOf<Kind>[],
): readonly ResourceOf<Kind>[] {
  if (!before) return derived;
  const known = new Map(before.map((resource) => [keyOf(resource), resource]));
  return keepList(
    before,
    derived.map((resource) => {
      const earlier = known.get(keyOf(resource));
      return earlier && isTheSame(earlier, resource) ? earlier : resource;
    }),
  );
}

function keyOf({ kind, metadata }: ResourceOf<Kind>): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

/** Made of the same objects to the same effect. The rules of a spec name the objects that they come of, which counts as well. */
function isTheSame(a: ResourceOf<Kind>, b: ResourceOf<Kind>): boolean {
  return a.derivedFrom === b.derivedFrom && sameContent(a.metadata, b.metadata) && sameContent(a.spec, b.spec);
}
