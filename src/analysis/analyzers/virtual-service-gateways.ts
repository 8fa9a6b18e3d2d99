import type { ResourceOf } from '../../api/index.ts';
import { hostsOverlap } from '../../lib/hostname.ts';
import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';

type VirtualService = ResourceOf<'VirtualService'>;
type Gateway = ResourceOf<'Gateway'>;

/** The Gateway that `name` (`gateway` or `namespace/gateway`) means in an object of `namespace`. */
export function findGateway(context: Context, name: string, namespace: string): Gateway | undefined {
  const slash = name.indexOf('/');
  return slash < 0
    ? context.find('Gateway', namespace, name)
    : context.find('Gateway', name.slice(0, slash) || namespace, name.slice(slash + 1));
}

/** A server's host is `host` or `namespace/host`; whether it takes `host` from VirtualServices of `namespace`. */
export function serverHostTakes(serverHost: string, gatewayNamespace: string, host: string, namespace: string): boolean {
  const slash = serverHost.indexOf('/');
  const owner = slash < 0 ? '*' : serverHost.slice(0, slash);
  if (owner !== '*' && owner !== namespace && !(owner === '.' && namespace === gatewayNamespace)) return false;
  return hostsOverlap(serverHost.slice(slash + 1).toLowerCase(), host.toLowerCase());
}

/** How a VirtualService names a Gateway, and where it does first. */
export interface NamedGateway {
  readonly name: string;
  readonly path: (string | number)[];
}

const NAMED = new WeakMap<VirtualService, readonly NamedGateway[]>();

/** The gateways that the object names: in `gateways`, and those that only matches name; each with where it does first. Found once. */
export function gatewayNames(virtualService: VirtualService): readonly NamedGateway[] {
  let named = NAMED.get(virtualService);
  if (!named) {
    named = findNames(virtualService);
    NAMED.set(virtualService, named);
  }
  return named;
}

function findNames({ spec }: VirtualService): NamedGateway[] {
  const { gateways } = spec;
  const named: NamedGateway[] = gateways.map((name, i) => ({ name, path: ['spec', 'gateways', i] }));
  for (const kind of ['http', 'tls', 'tcp'] as const) {
    const rules = spec[kind];
    for (let i = 0; i < rules.length; i++) {
      const { match } = rules[i]!;
      for (let j = 0; j < match.length; j++) {
        const names = match[j]!.gateways;
        for (let k = 0; k < names.length; k++) {
          if (!gateways.includes(names[k]!)) named.push({ name: names[k]!, path: ['spec', kind, i, 'match', j, 'gateways', k] });
        }
      }
    }
  }
  return named;
}

/** IST0101 (gateway), IST0132, IST0165 and our SP1005: whether the gateways that a VirtualService names exist and serve its hosts. */
export function virtualServiceGateways(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { namespace } = virtualService.metadata;
    for (const { name, path } of gatewayNames(virtualService)) {
      if (name === 'mesh') continue;
      const gateway = findGateway(context, name, namespace);
      if (!gateway) {
        const mend = suggestion(context, name);
        context.report(
          'IST0101',
          virtualService,
          path,
          `Referenced gateway not found: "${name}"${name.includes('/') ? '' : ` (in namespace ${namespace})`}. No proxy serves these rules, so traffic meant for the gateway is answered 404 there or never reaches it. ${mend}`,
        );
      } else if (path.length === 3) {
        checkHosts(context, virtualService, gateway, path);
        if (gateway.metadata.annotations['internal.istio.io/parents'] !== undefined) {
          context.report(
            'IST0165',
            virtualService,
            path,
            `Gateway "${name}" is generated from a Kubernetes Gateway and not meant to be named by a VirtualService. Use an HTTPRoute, or a Gateway of your own.`,
          );
        }
      }
    }
  }
}

function suggestion(context: Context, name: string): string {
  const bare = name.slice(name.indexOf('/') + 1);
  const gateways = context.of('Gateway');
  const elsewhere = gateways.find((gateway) => gateway.metadata.name === bare);
  if (elsewhere) return `Write ${elsewhere.metadata.namespace}/${bare}: that Gateway exists.`;
  const near = context.nearGateway.near(bare) ?? gateways.find((gateway) => gateway.metadata.name.endsWith(`-${bare}`))?.metadata.name;
  const found = gateways.find((gateway) => gateway.metadata.name === near);
  if (found) return `Did you mean ${found.metadata.namespace}/${found.metadata.name}?`;
  return 'Create the Gateway, or name one that exists.';
}

function checkHosts(context: Context, virtualService: VirtualService, gateway: Gateway, path: (string | number)[]): void {
  const { namespace } = virtualService.metadata;
  const { hosts } = virtualService.spec;
  const takes = (host: string) =>
    gateway.spec.servers.some((server) =>
      server.hosts.some((serverHost) => serverHostTakes(serverHost, gateway.metadata.namespace, host, namespace)),
    );
  if (hosts.length === 0 || hosts.some(takes)) return;
  const name = `${gateway.metadata.namespace}/${gateway.metadata.name}`;
  const served = [...new Set(gateway.spec.servers.flatMap((server) => server.hosts))];
  const near = hosts.map((host) => closest(host, served)).find((host) => host !== undefined);
  context.report(
    'IST0132',
    virtualService,
    ['spec', 'hosts', 0],
    `No host of this VirtualService (${hosts.join(', ')}) is served by Gateway ${name} (${served.join(', ')}): calls to them end in 404 there. ${
      near ? `Did you mean ${near}?` : `Add the host to a server of the Gateway, or take the Gateway out (${path.join('.')}).`
    }`,
  );
}
