import type { PathStep, Resource } from '../../api/resource.ts';
import type { Context } from '../context.ts';

/** SP1067: hosts that end in a dot, which clients leave out of Host and always of server names. */
export function trailingDots(context: Context): void {
  for (const entry of context.of('ServiceEntry')) check(context, entry, entry.spec.hosts, ['spec', 'hosts']);
  for (const gateway of context.of('Gateway'))
    for (const [i, { hosts }] of gateway.spec.servers.entries()) check(context, gateway, hosts, ['spec', 'servers', i, 'hosts']);
  for (const virtualService of context.of('VirtualService')) {
    const { hosts, tls } = virtualService.spec;
    check(context, virtualService, hosts, ['spec', 'hosts']);
    for (const [i, { match }] of tls.entries())
      for (const [j, { sniHosts }] of match.entries()) check(context, virtualService, sniHosts, ['spec', 'tls', i, 'match', j, 'sniHosts']);
  }
}

function check(context: Context, resource: Resource, hosts: readonly string[], path: readonly PathStep[]): void {
  for (const [i, host] of hosts.entries()) {
    if (!host.endsWith('.')) continue;
    const plain = host.slice(0, -1);
    context.report(
      'SP1067',
      resource,
      [...path, i],
      `${host} ends in a dot, and is another name than ${plain}: calls to that do not meet it, and no server name in TLS ends in one. Write ${plain}: of HTTP it stands for both.`,
      { from: host, to: plain },
    );
  }
}
