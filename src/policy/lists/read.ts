/** What the readers of lists share. */
import { parse } from 'yaml';
import type { AllowedRequests } from '../../api/allow-list.ts';
import { isMapping } from '../../api/decode.ts';
import { allowedProblem } from '../../api/rules/egress-policy.ts';
import type { ConvertedDestination } from './forms.ts';

const ANY: AllowedRequests = { ports: [], methods: [], paths: [] };

/** Throws where it is no mapping. */
export function yamlMapping(text: string): Record<string, unknown> {
  const value: unknown = parse(text);
  if (!isMapping(value)) throw new Error('it is no mapping');
  return value;
}

export function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

/** Why a host with these ports can not be allowed, as the rules of EgressPolicies have it; undefined if it can. */
export function problemOf(host: string, { ports = [], protocol }: Partial<Omit<ConvertedDestination, 'hosts'>> = {}): string | undefined {
  return allowedProblem(host, { ...ANY, ports, ...(protocol && { protocol }) });
}

/** Hosts that are allowed alike stand together. */
export function grouped(destinations: readonly ConvertedDestination[]): ConvertedDestination[] {
  return [...Map.groupBy(destinations, ({ hosts: _, ...rest }) => JSON.stringify(rest)).values()].map((same) => ({
    ...same[0]!,
    hosts: [...new Set(same.flatMap(({ hosts }) => hosts))],
  }));
}

/** A name that Kubernetes takes. */
export function objectName(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return name || 'list';
}
