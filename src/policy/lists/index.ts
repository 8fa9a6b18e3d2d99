/** Lists of allowed hosts that other tools read, as EgressPolicies. What means something else there is left out and said, never widened. Pure. */
import { stringify } from 'yaml';
import { SallyportError } from '../../lib/errors.ts';
import { readCilium } from './cilium.ts';
import type { ConvertedList, ListForm } from './forms.ts';
import { readHardenRunner } from './harden-runner.ts';
import { readSmokescreen } from './smokescreen.ts';
import { readSquid } from './squid.ts';

const READERS: Readonly<Record<ListForm, (text: string) => ConvertedList>> = {
  smokescreen: readSmokescreen,
  'harden-runner': readHardenRunner,
  squid: readSquid,
  cilium: readCilium,
};

/** @throws SallyportError `list-unreadable` where nothing of it can be carried over, or it is no such list at all */
export function convertList(form: ListForm, text: string, file: string): { readonly text: string; readonly left: readonly string[] } {
  let list: ConvertedList;
  try {
    list = READERS[form](text);
  } catch (cause) {
    throw new SallyportError(
      'list-unreadable',
      `${file} is no list of ${form}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  const policies = list.policies.filter(({ to }) => to.length > 0);
  if (policies.length === 0)
    throw new SallyportError('list-unreadable', `${file}: nothing of it can be carried over. ${list.left.join(' ')}`.trimEnd());
  const documents = policies.map(({ name, namespace, ...spec }) =>
    stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'EgressPolicy', metadata: { name, namespace }, spec }),
  );
  return { text: documents.join('---\n'), left: list.left };
}
