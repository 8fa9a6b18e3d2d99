import type { PathStep, Resource } from '../../api/resource.ts';
import { inPlaceOf } from '../../lib/finding.ts';
import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';

/**
 * SP1034: namespaces that nothing is in; where an object is shown to one, any such, elsewhere those whose names are near to one that there is. Only where
 * the files say which there are.
 */
export function misspeltNamespaces(context: Context): void {
  const declared = context.of('Namespace').map(({ metadata }) => metadata.name);
  if (declared.length === 0) return;
  const known = new Set([...declared, ...(context.snapshot.all() as readonly Resource[]).map(({ metadata }) => metadata.namespace)]);
  /** `rest`: what stands behind the name at the place. */
  const check = (resource: Resource, path: readonly PathStep[], name: string, consequence: string, rest = '') => {
    if (known.has(name) || /^[*.~]?$/.test(name)) return;
    const meant = closest(name, declared);
    if (!meant && path[1] !== 'exportTo') return;
    const mend = meant
      ? `Did you mean ${meant}?`
      : `Create it, or show the object to one that there is (${declared.slice(0, 5).join(', ')}).`;
    context.report(
      'SP1034',
      resource,
      path,
      `There is no namespace ${name}${consequence} ${mend}`,
      inPlaceOf(`${name}${rest}`, meant && `${meant}${rest}`),
    );
  };
  for (const kind of ['ServiceEntry', 'VirtualService', 'DestinationRule'] as const) {
    for (const resource of context.of(kind)) {
      for (const [i, name] of resource.spec.exportTo.entries())
        check(resource, ['spec', 'exportTo', i], name, ', so nobody sees this object by that.');
    }
  }
  for (const sidecar of context.of('Sidecar')) {
    for (const [i, { hosts }] of sidecar.spec.egress.entries()) {
      for (const [j, host] of hosts.entries())
        check(
          sidecar,
          ['spec', 'egress', i, 'hosts', j],
          host.split('/')[0]!.replace(/^~/, ''),
          ', so this imports nothing: the workloads do not see what was meant.',
          host.slice(host.indexOf('/')),
        );
    }
  }
  for (const gateway of context.of('Gateway')) {
    for (const [i, { hosts }] of gateway.spec.servers.entries()) {
      for (const [j, host] of hosts.entries()) {
        if (host.includes('/'))
          check(
            gateway,
            ['spec', 'servers', i, 'hosts', j],
            host.split('/')[0]!,
            ', so the server takes routes of nobody: calls are answered 404 or closed.',
            host.slice(host.indexOf('/')),
          );
      }
    }
  }
}
