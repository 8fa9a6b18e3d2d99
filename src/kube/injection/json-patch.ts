/** What makes one JSON value of another, as a JSON Patch (RFC 6902). */

export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Lists of another length are replaced as a whole: their members have no place that stays. */
export function jsonPatch(from: unknown, to: unknown, path = ''): Operation[] {
  if (Array.isArray(from) && Array.isArray(to)) {
    if (from.length !== to.length) return [{ op: 'replace', path, value: to }];
    return from.flatMap((member, index) => jsonPatch(member, to[index], `${path}/${index}`));
  }
  if (!isObject(from) || !isObject(to)) return from === to ? [] : [{ op: 'replace', path, value: to }];
  const gone = Object.keys(from).filter((name) => !isThere(to, name) && isThere(from, name));
  const operations: Operation[] = gone.map((name) => ({ op: 'remove', path: `${path}/${escaped(name)}` }));
  for (const [name, value] of Object.entries(to)) {
    const place = `${path}/${escaped(name)}`;
    if (value === undefined) continue;
    if (isThere(from, name)) operations.push(...jsonPatch(from[name], value, place));
    else operations.push({ op: 'add', path: place, value });
  }
  return operations;
}

function isThere(object: Readonly<Record<string, unknown>>, name: string): boolean {
  return Object.hasOwn(object, name) && object[name] !== undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901, section 3. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
