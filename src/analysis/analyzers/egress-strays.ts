/** Hosts that VirtualServices route and nothing declares: what was probably meant. */
import { fullHostname } from '../../lib/hostname.ts';
import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';
import type { VirtualService } from '../egress-model.ts';

/** A host that a VirtualService routes and nothing declares. */
export interface Stray {
  readonly virtualService: VirtualService;
  readonly index: number;
  readonly host: string;
}

/** By what stays when one label is taken out, and by the first and last label: a misspelling shares one of these with what was meant. */
export type Strays = ReadonlyMap<string, readonly Stray[]>;

/** So many undeclared names that differ in one label are a family of names, not misspellings of one. */
const FAMILY = 100;

export function strayHosts(context: Context): Strays {
  const strays = new Map<string, Stray[]>();
  for (const virtualService of context.of('VirtualService')) {
    for (const [index, written] of virtualService.spec.hosts.entries()) {
      const host = fullHostname(written, virtualService.metadata.namespace).toLowerCase();
      if (context.services.overlaps(host)) continue;
      for (const key of spellingKeys(host)) {
        const list = strays.get(key);
        if (list) list.push({ virtualService, index, host });
        else strays.set(key, [{ virtualService, index, host }]);
      }
    }
  }
  return strays;
}

function spellingKeys(host: string): string[] {
  const labels = host.split('.');
  const keys = labels.map((_, i) => labels.toSpliced(i, 1, '').join('.'));
  return [...keys, `${labels.length}:${labels[0]}:${labels.at(-1)}`];
}

export function misspelt(strays: Strays, declared: string): Stray | undefined {
  for (const key of spellingKeys(declared)) {
    const near = strays.get(key) ?? [];
    const found = near.length > FAMILY ? undefined : near.find(({ host }) => isMisspelling(host, declared));
    if (found) return found;
  }
  return undefined;
}

/** Whether `host`, which nothing declares, is near to `declared`: by letters, or with the same first and last label and one a part of the other. */
function isMisspelling(host: string, declared: string): boolean {
  if (closest(host, [declared])) return true;
  const [a, b] = [host.split('.'), declared.split('.')];
  if (a.length !== b.length || a[0] !== b[0] || a.at(-1) !== b.at(-1)) return false;
  return a.every(
    (label, i) => label === b[i] || (label.length > 3 && b[i]!.startsWith(label)) || (b[i]!.length > 3 && label.startsWith(b[i]!)),
  );
}
