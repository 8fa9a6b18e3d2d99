/** Merging as Kubernetes' strategic merge patch does it, for the parts of a pod that are injected. */

import { table } from '../../lib/table.ts';
import type { Fields } from './pod.ts';

/** By which field the members of a list are told apart; lists that are not here are replaced. */
const KEYS: Readonly<Record<string, string>> = table({
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  volumes: 'name',
  volumeDevices: 'devicePath',
  volumeMounts: 'mountPath',
  ports: 'containerPort',
  imagePullSecrets: 'name',
  sysctls: 'name',
  topologySpreadConstraints: 'topologyKey',
});

/** Of a Service. */
export const SERVICE_KEYS: typeof KEYS = table({ ports: 'port' });

/** `base` with what `over` says in its place. @param keys of lists, as `KEYS`: those of a pod, where it does not say */
export function merged<T extends Fields>(base: T, over: Fields, keys = KEYS): T {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const before = result[name];
    if (value === null) delete result[name];
    else if (isObject(value) && isObject(before)) result[name] = merged(before, value, keys);
    else if (keys[name] !== undefined && Array.isArray(value) && Array.isArray(before))
      result[name] = mergedLists(before, value, keys[name], keys);
    else result[name] = value;
  }
  return result as T;
}

/** Members of `over` with a key of `base` are laid over that one in its place, the others follow. */
function mergedLists(base: readonly Fields[], over: readonly Fields[], key: string, keys: typeof KEYS): Fields[] {
  const rest = new Map(over.map((member) => [member[key], member]));
  const result = base.map((member) => {
    const other = rest.get(member[key]);
    rest.delete(member[key]);
    if (!other) return member;
    // One way to state a value replaces the other.
    const { value, valueFrom, ...others } = member;
    const stated = key === 'name' && ('value' in other || 'valueFrom' in other);
    return merged(stated ? others : member, other, keys);
  });
  return [...result, ...rest.values()];
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
