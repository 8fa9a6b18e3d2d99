/** From which namespaces a listener takes routes. */
import type { FullLabelSelector } from '../api/gateway-api/common.ts';
import type { AllowedRoutes } from '../api/gateway-api/gateway.ts';
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
    return selector !== undefined && meets(selector, labels);
  });
  return new Set(chosen.map(({ metadata }) => metadata.name));
}

function meets({ matchLabels, matchExpressions }: FullLabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}
