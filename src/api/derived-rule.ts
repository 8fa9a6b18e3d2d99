/** Which object a rule comes of, where the rules of several objects were put together in one. */
import type { Resource } from './resource.ts';

const ORIGIN = Symbol('origin');

/** The rule with its origin, which copies of the rule keep. */
export function withOrigin<R extends object>(rule: R, origin: Resource): R {
  return { ...rule, [ORIGIN]: origin };
}

/** The object that the rule was written in: `holder`, unless the rule has an origin of its own. */
export function originOfRule(rule: object, holder: Resource): Resource {
  return ownOriginOf(rule) ?? holder.derivedFrom ?? holder;
}

/** The origin that the rule itself has; undefined where it has none. */
export function ownOriginOf(rule: object): Resource | undefined {
  return (rule as { readonly [ORIGIN]?: Resource })[ORIGIN];
}
