/** What an object's status becomes when ours is laid into it: what others say stays, and so does the time at which a condition began to hold. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { isMapping } from '../../api/decode.ts';

type Json = Record<string, unknown>;

/**
 * The whole status; undefined where it says that already.
 * @param now RFC 3339
 */
export function mergedStatus(
  there: Readonly<Json>,
  { status }: { readonly status: object },
  controller: string,
  now: string,
): Json | undefined {
  const next: Json = { ...there };
  for (const [field, value] of Object.entries(status)) {
    next[field] = mergedField(field, there[field], value, controller, now);
  }
  // A field that the API demands is there with nothing in it; others are not made for that.
  const compared = withoutEmpty(next);
  return isDeepStrictEqual(compared, withoutEmpty(there)) ? undefined : next;
}

function mergedField(field: string, there: unknown, value: unknown, controller: string, now: string): unknown {
  const before = items(there);
  switch (field) {
    case 'conditions':
      return mergedConditions(before, items(value), now);
    case 'parents':
    case 'ancestors':
      return mergedParents(field === 'parents' ? 'parentRef' : 'ancestorRef', before, items(value), controller, now);
    case 'listeners':
      return items(value).map((each) => {
        const known = before.find(({ name }) => name === each.name);
        return { ...each, conditions: mergedConditions(items(known?.conditions), items(each.conditions), now) };
      });
    default:
      return value;
  }
}

/** Conditions of types that we do not say stay as they are, and all of them at their places. */
function mergedConditions(before: readonly Json[], wanted: readonly Json[], now: string): Json[] {
  const rest = new Map(wanted.map((condition) => [condition.type, timed(before, condition, now)]));
  const kept = before.map((each) => {
    const ours = rest.get(each.type);
    rest.delete(each.type);
    return ours ?? each;
  });
  return [...kept, ...rest.values()];
}

/** A condition holds since its status changed, whatever else is said of it. */
function timed(before: readonly Json[], condition: Json, now: string): Json {
  const known = before.find(({ type }) => type === condition.type);
  const since = known?.status === condition.status && typeof known?.lastTransitionTime === 'string' ? known.lastTransitionTime : now;
  return { ...condition, lastTransitionTime: since };
}

/** Entries of other controllers stay, and all of them at their places. */
function mergedParents(refField: string, before: readonly Json[], wanted: readonly Json[], controller: string, now: string): Json[] {
  const rest = [...wanted];
  const kept = before.flatMap((each): Json[] => {
    if (each.controllerName !== controller) return [each];
    const at = rest.findIndex(({ ref }) => isDeepStrictEqual(each[refField], ref));
    const [ours] = at < 0 ? [] : rest.splice(at, 1);
    return ours ? [{ ...each, conditions: mergedConditions(items(each.conditions), items(ours.conditions), now) }] : [];
  });
  const fresh = rest.map(({ ref, conditions }) => ({
    [refField]: ref,
    controllerName: controller,
    conditions: mergedConditions([], items(conditions), now),
  }));
  return [...kept, ...fresh];
}

function items(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isMapping) : [];
}

function withoutEmpty(status: Readonly<Json>): Json {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => !Array.isArray(value) || value.length > 0));
}
