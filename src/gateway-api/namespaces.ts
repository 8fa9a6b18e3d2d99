/** From which namespaces a listener takes routes. */

import type { AllowedRoutes } from '../api/gateway-api/gateway.ts';
import { matchesSelector } from '../lib/labels.ts';
import type { Context } from './model.ts';

/** Undefined: from all. */
export function namespacesAllowed(
  { objects }: Context,
  own: string,
  { from, selector }: AllowedRoutes['namespaces'],
): ReadonlySet<string> | undefined {
  if (from === 'All') return undefined;
  if (from === 'Same') return new Set([own]);
  const chosen = objects.list('Namespace').filter(({ metadata }) => {
    // Kubernetes sets this label on every namespace.
    const labels = { 'kubernetes.io/metadata.name': metadata.name, ...metadata.labels };
    return selector !== undefined && matchesSelector(selector, labels);
  });
  return new Set(chosen.map(({ metadata }) => metadata.name));
}
