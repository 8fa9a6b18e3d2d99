/** What a client of the control plane refused, as engines say it: resource by resource, as far as its words name them. */
import type { EncodedResource, ResourceType } from '../resources.ts';
import type { Refusal } from './subscription.ts';

export interface RefusedResource {
  /** E.g. `listener 0.0.0.0_80`. */
  readonly resource: string;
  /** The client's own words. */
  readonly message: string;
  /** As an encoded set names it; undefined for what is no single resource. */
  readonly key?: string;
}

/** Of a refusal of many resources so many are named. */
const MOST_NAMED = 5;

/** At least one. */
export function refusalsOf(type: ResourceType | undefined, { message, resources }: Refusal): RefusedResource[] {
  const [only, ...others] = resources;
  const named = only && others.length === 0 ? [only] : resources.filter(({ name }) => names(message, name)).slice(0, MOST_NAMED);
  if (named.length === 0) return [{ resource: `${resources.length} resources of type ${type ?? 'unknown'}`, message }];
  return named.map((resource) => ({ resource: textOf(resource), message, key: `${resource.type}/${resource.name}` }));
}

function textOf({ type, name }: EncodedResource): string {
  return `${type} ${name}`;
}

/** Whether the name stands in the text by itself, not as a part of another. */
function names(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    if (!isPart(text[at - 1]) && !isPart(text[at + name.length])) return true;
  }
  return false;
}

function isPart(character: string | undefined): boolean {
  return character !== undefined && /[\w|.-]/.test(character);
}
