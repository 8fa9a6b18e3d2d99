/** What of a mesh somebody may see: all of it, or some namespaces. */

export interface Sight {
  /** The same for those who see the same. */
  readonly key: string;
  /** In order; undefined where it is all. */
  readonly namespaces: readonly string[] | undefined;
  /** Whether things of a namespace are seen; empty for what is in none. */
  sees(namespace: string): boolean;
  /** The text, or in its place that it is left out, where it names a namespace that is not seen. */
  text(text: string): string;
}

export const LEFT_OUT = 'This names a namespace that you may not see, and is left out.';

export const EVERYTHING: Sight = { key: 'all', namespaces: undefined, sees: () => true, text: (text) => text };

/** A word of what may be a namespace's name (RFC 1123). */
const LABEL = /[a-z0-9](?:[-a-z0-9]*[a-z0-9])?/gi;

/** @param known the namespaces that there are now: which of them are not seen is what texts are held against */
export function sightOf(namespaces: ReadonlySet<string>, known: () => ReadonlySet<string>): Sight {
  const sees = (namespace: string) => namespaces.has(namespace);
  const sorted = [...namespaces].sort();
  return {
    key: JSON.stringify(sorted),
    namespaces: sorted,
    sees,
    text: (text) => {
      const all = known();
      const words = text.toLowerCase().match(LABEL) ?? [];
      return words.some((word) => all.has(word) && !sees(word)) ? LEFT_OUT : text;
    },
  };
}

/** Of `namespace/name`. */
export function namespaceIn(name: string): string {
  const slash = name.indexOf('/');
  return slash < 0 ? '' : name.slice(0, slash);
}
