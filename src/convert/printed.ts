/** A configuration as text again, after some of its objects were replaced. */
import { stringify } from 'yaml';
import type { Resource } from '../api/resource.ts';
import { isObject, keyOf, type WrittenDocument, type WrittenObject } from './documents.ts';
import type { Replacement } from './index.ts';

/** The whole configuration: documents that nothing is converted of as they were written. */
export function printed(documents: readonly WrittenDocument[], replacements: readonly Replacement[]): string {
  const byKey = new Map(replacements.map((each) => [keyOf(each.resource), each]));
  const parts = documents.flatMap(({ text, objects, list }) => {
    const touched = objects.some(({ key }) => key !== undefined && byKey.has(key));
    if (!touched) return [`${text.replace(/^[ \t]*\r?\n/, '').trimEnd()}\n`];
    const values = objects.flatMap((object) => replaced(object, byKey.get(object.key ?? '')));
    const lead = list ? '' : leadingComments(text);
    return values.map((value, index) => `${index === 0 ? lead : ''}${stringify(value, { lineWidth: 0 })}`);
  });
  return parts.join('---\n');
}

/** Comments above a document that speak of it, whatever its form. */
function leadingComments(text: string): string {
  return (/^\s*((?:#.*\r?\n)*)/.exec(text)?.[1] ?? '').replace(/\r/g, '');
}

function replaced({ value }: WrittenObject, replacement: Replacement | undefined): object[] {
  if (!replacement) return [value];
  const { made, stays, resource } = replacement;
  return [...made, ...(stays.length > 0 ? [remaining(value, stays, resource)] : [])];
}

type Written = Readonly<Record<string, unknown>>;

/** A VirtualService with what concerns the gateways for which it stays. */
function remaining(value: Written, stays: readonly string[], { metadata }: Resource): object {
  const spec = isObject(value.spec) ? value.spec : {};
  const full = (name: unknown) => (name === 'mesh' || String(name).includes('/') ? String(name) : `${metadata.namespace}/${String(name)}`);
  const keeps = (names: unknown) => (Array.isArray(names) ? names : ['mesh']).filter((name) => stays.includes(full(name)));
  const rules = (list: unknown) =>
    (Array.isArray(list) ? (list as Written[]) : []).flatMap((rule) => {
      if (!Array.isArray(rule.match) || rule.match.length === 0) return [rule];
      const match = (rule.match as Written[]).flatMap((each) => {
        if (!Array.isArray(each.gateways) || each.gateways.length === 0) return [each];
        const gateways = keeps(each.gateways);
        return gateways.length > 0 ? [{ ...each, gateways }] : [];
      });
      return match.length > 0 ? [{ ...rule, match }] : [];
    });
  const kept = Object.fromEntries(
    (['http', 'tls', 'tcp'] as const).flatMap((kind) => {
      const list = rules(spec[kind]);
      return list.length > 0 ? [[kind, list]] : [];
    }),
  );
  const { http: _http, tls: _tls, tcp: _tcp, ...rest } = spec;
  return { ...value, spec: { ...rest, gateways: keeps(spec.gateways), ...kept } };
}
