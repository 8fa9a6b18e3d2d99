/** What the proxy's DNS answers: the hosts that it sees, with the addresses under which its listeners know them. */

import { create } from '@bufbuild/protobuf';
import { singleAddress } from '../lib/ip.ts';
import type { Service } from '../registry/model.ts';
import { type NameTable, type NameTable_NameInfo, NameTable_NameInfoSchema, NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { allocatedAddresses } from './addresses.ts';
import type { TranslateContext } from './context.ts';
import { Phase } from './phase.ts';

/**
 * By full host name, `*.suffix` for wildcards. A host without an address of its own or an allocated one (resolution NONE, wildcards without
 * addresses) is not there: real DNS answers for it. A headless service answers with its endpoints, each also under `pod.service`.
 */
export function nameTable(context: TranslateContext): NameTable {
  return tables.get(context, [context.scope.services, context.mesh.registry.endpoints], buildTable);
}

const tables = new Phase<NameTable>();

function buildTable(context: TranslateContext): NameTable {
  const table: Record<string, NameTable_NameInfo> = {};
  for (const service of context.scope.services) {
    const ips = addressesOf(service, context);
    if (ips.length === 0) continue;
    const other = table[service.hostname];
    if (other) other.ips.push(...ips.filter((ip) => !other.ips.includes(ip)));
    else table[service.hostname] = nameInfo(service, ips);
    if (service.headless) addPods(table, service, context);
  }
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
  return declared.length > 0 ? declared : service.addresses.length === 0 ? allocatedAddresses(service, context.proxy) : [];
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
