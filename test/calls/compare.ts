/** Compares what a call did with what was recorded. What the record lacks is not compared. */
import type { Call, Json, Observation } from './cases.ts';

/** Headers with a product's name. */
const PRODUCT_HEADERS = new Set(['server', 'via']);
/** Bodies that are Envoy's words. */
const ENVOYS_WORDS = /^(upstream (connect error|request timeout)|no healthy upstream|fault filter abort|RBAC: |Bad Request$|Jwt )/;

type JsonMap = { readonly [key: string]: Json };
const isMap = (value: Json | undefined): value is JsonMap => typeof value === 'object' && value !== null && !Array.isArray(value);
const brief = (value: Json) => JSON.stringify(value).slice(0, 200);

const byServer = (hits: readonly Json[]) =>
  hits.toSorted((a, b) => String((a as JsonMap).server).localeCompare(String((b as JsonMap).server)));

/**
 * The differences, one line each; none means agreement.
 * @param strict compares also hops, durations, `x-envoy-*` headers and Envoy's own words.
 */
export function compare(call: Call, got: Observation, strict: boolean): string[] {
  const expected = call.expect ?? {};
  if ('counts' in expected) return compareCounts(call, expected, got, strict);
  const unstable = new Set((expected.unstable ?? []) as readonly string[]);
  const differences: string[] = [];
  walk(expected, got, '');
  return differences;

  function ignored(path: string, key: string): boolean {
    if (strict) return false;
    if (path.endsWith('headers') && PRODUCT_HEADERS.has(key)) return true;
    return key.startsWith('x-envoy-') || (path === '' && (key === 'hops' || key === 'seconds'));
  }

  function walk(wanted: Json, seen: Json, path: string): void {
    if (isMap(wanted) && isMap(seen)) {
      walkMap(wanted, seen, path);
      return;
    }
    if (Array.isArray(wanted) && Array.isArray(seen) && wanted.length === seen.length) {
      // A request and its mirror go out together: only what reaches one server has an order.
      const [ordered, other] = path === 'upstream' ? [byServer(wanted), byServer(seen)] : [wanted, seen];
      for (const [index, each] of ordered.entries()) walk(each, other[index] as Json, `${path}[${index}]`);
      return;
    }
    // Lists of different length, or plain values.
    if (JSON.stringify(wanted) !== JSON.stringify(seen)) differences.push(`${path}: expected ${brief(wanted)}, got ${brief(seen)}`);
  }

  function walkMap(wanted: JsonMap, seen: JsonMap, path: string): void {
    for (const [key, value] of Object.entries(wanted)) {
      const at = path === '' ? key : `${path}.${key}`;
      if (!strict && at === 'body' && typeof value === 'string' && ENVOYS_WORDS.test(value)) continue;
      if (key === 'unstable' || unstable.has(at) || ignored(path, key)) continue;
      const other = seen[key];
      if (other === undefined) differences.push(`${at}: expected ${brief(value)}, got nothing`);
      else walk(value, other, at);
    }
    if (!path.endsWith('headers')) return;
    for (const [key, value] of Object.entries(seen)) {
      if (key in wanted || unstable.has(`${path}.${key}`) || ignored(path, key)) continue;
      differences.push(`${path}.${key}: not expected, got ${brief(value)}`);
    }
  }
}

function compareCounts(call: Call, expected: Observation, got: Observation, strict: boolean): string[] {
  const tolerance = call.tolerance ?? 0.2;
  const allowed = Math.max(tolerance * (call.repeat ?? 1), tolerance === 0 ? 0.5 : 2);
  const differences: string[] = [];
  for (const field of ['counts', 'upstream_counts', ...(strict ? ['hop_counts'] : [])]) {
    const wanted = (expected[field] ?? {}) as Record<string, number>;
    const seen = (got[field] ?? {}) as Record<string, number>;
    for (const key of [...new Set([...Object.keys(wanted), ...Object.keys(seen)])].sort()) {
      const [a, b] = [wanted[key] ?? 0, seen[key] ?? 0];
      if (Math.abs(a - b) > allowed) differences.push(`${field}[${key}]: expected ${a}, got ${b}`);
    }
  }
  return differences;
}
