/** What the proxy's DNS answers: the hosts that it sees, with the addresses under which its listeners know them. */

import { create } from '@bufbuild/protobuf';
import { singleAddress } from '../lib/ip.ts';
import type { Service } from '../registry/model.ts';
import { type NameTable, type NameTable_NameInfo, NameTable_NameInfoSchema, NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { allocatedAddresses, isIpv6 } from './addresses.ts';
import type { TranslateContext } from './context.ts';
import { MESH_GATEWAY } from './names.ts';
import { Phase } from './phase.ts';

/**
 * By full host name, `*.suffix` for wildcards. A headless service answers with its endpoints, each also under `pod.service`. Names without addresses
 * are those for which other name servers may be asked: hosts with neither an address of their own nor an allocated one (resolution NONE, wildcards
 * without addresses), and `*` where all outbound traffic is allowed. Who asks for any other name asks for what policy refuses, and the
 * question alone could carry data out.
 */
export function nameTable(context: TranslateContext): NameTable {
  const { scope, mesh } = context;
  const asked = namesAskedElsewhere(context);
  return tables.get(context, [scope.services, mesh.registry.endpoints, asked.join(' ')], (proxy) => buildTable(proxy, asked));
}

const tables = new Phase<NameTable>();

/** Names that other name servers may be asked for though no service has them. */
function namesAskedElsewhere({ scope, mesh }: TranslateContext): readonly string[] {
  if (scope.outboundTrafficPolicy.mode === 'ALLOW_ANY') return ['*'];
  const routed = scope.virtualServicesForGateway(MESH_GATEWAY).flatMap(({ spec }) => spec.hosts.filter((host) => !scope.serviceFor(host)));
  const allowed = (mesh.config.defaultConfig?.proxyMetadata?.[DNS_ALLOW] ?? '').split(',').map((name) => name.trim());
  return [...new Set([...routed, ...allowed.filter((name) => name !== '')])].sort();
}

/** In MeshConfig's `defaultConfig.proxyMetadata`: names and `*.suffix` patterns, separated by commas. */
const DNS_ALLOW = 'SALLYPORT_DNS_ALLOW';

function buildTable(context: TranslateContext, asked: readonly string[]): NameTable {
  const table: Record<string, NameTable_NameInfo> = {};
  for (const service of context.scope.services) {
    const ips = addressesOf(service, context);
    const other = table[service.hostname];
    if (other) other.ips.push(...ips.filter((ip) => !other.ips.includes(ip)));
    else table[service.hostname] = nameInfo(service, ips);
    if (service.headless) addPods(table, service, context);
  }
  for (const name of asked) table[name] ??= create(NameTable_NameInfoSchema, { registry: 'External' });
  return create(NameTableSchema, { table });
}

function nameInfo(service: Service, ips: readonly string[]): NameTable_NameInfo {
  const { name, namespace } = service.resource.metadata;
  if (service.registry !== 'Kubernetes') return create(NameTable_NameInfoSchema, { ips: [...ips], registry: 'External' });
  return create(NameTable_NameInfoSchema, {
    ips: [...ips],
    registry: 'Kubernetes',
    shortname: name,
    namespace,
    altHosts: [`${name}.${namespace}`, `${name}.${namespace}.svc`],
  });
}

function addressesOf(service: Service, context: TranslateContext): readonly string[] {
  if (service.resolution === 'Alias') {
    const target = service.externalName ? context.scope.serviceFor(service.externalName) : undefined;
    return target && target !== service && target.resolution !== 'Alias' ? addressesOf(target, context) : [];
  }
  if (service.headless) return endpointAddresses(service, context).map(({ address }) => address);
  // A CIDR is a set of addresses to match, and none to answer with.
  const declared = service.addresses.flatMap((address) => singleAddress(address) ?? []);
  return declared.length > 0
    ? declared
    : service.addresses.length === 0
      ? allocatedAddresses(service, context.proxy.addresses.some(isIpv6))
      : [];
}

function endpointAddresses(service: Service, { mesh }: TranslateContext): readonly { address: string; workload: string }[] {
  const byAddress = new Map<string, string>();
  for (const port of service.ports) {
    for (const { address, workload, healthy } of mesh.registry.endpoints(service, port)) if (healthy) byAddress.set(address, workload);
  }
  return [...byAddress].map(([address, workload]) => ({ address, workload }));
}

/** Stateful sets know their pods by name: `pod.service.namespace.svc.DOMAIN`. */
function addPods(table: Record<string, NameTable_NameInfo>, service: Service, context: TranslateContext): void {
  const { name, namespace } = service.resource.metadata;
  for (const { address, workload } of endpointAddresses(service, context)) {
    if (!workload) continue;
    table[`${workload}.${service.hostname}`] = create(NameTable_NameInfoSchema, {
      ips: [address],
      registry: 'Kubernetes',
      shortname: `${workload}.${name}`,
      namespace,
      altHosts: [`${workload}.${name}.${namespace}`, `${workload}.${name}.${namespace}.svc`],
    });
  }
}
