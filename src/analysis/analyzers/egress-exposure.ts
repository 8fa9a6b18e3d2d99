import { privateRanges } from '../../api/private-addresses.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { type Context, formatSelector } from '../context.ts';
import { isDefaultGateway } from '../default-gateways.ts';
import { externalServices, gatewayServices, onMesh, routeKind, withDelegates } from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { findGateway, gatewayNames } from './virtual-service-gateways.ts';

/** SP1020: names that DYNAMIC_DNS resolves may lead to private addresses, on Envoy to all, on the embedded engine to those that the entry allows. */
export function privateAddresses(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    if (entry.spec.resolution !== 'DYNAMIC_DNS') continue;
    const ranges = privateRanges(entry.metadata);
    const within =
      ranges.length > 0
        ? `: ${ranges.join(', ')} by the entry's annotation, and on Envoy also 10.0.0.0/8, 192.168.0.0/16, 169.254.169.254 and all others`
        : ', on Envoy also 10.0.0.0/8, 192.168.0.0/16 and 169.254.169.254; the embedded engine refuses addresses that are not public';
    for (const [i, host] of entry.spec.hosts.entries()) {
      if (!host.startsWith('*')) continue;
      context.report(
        'SP1020',
        entry,
        ['spec', 'hosts', i],
        `Anyone who controls a name under ${host} decides which address is reached${within}. Name the hosts that are needed, with resolution DNS, or keep the gateway's pods from private ranges by a NetworkPolicy.`,
      );
    }
  }
}

/** SP1019 and SP1021, hints: what could be narrower or encrypted. */
export function hardening(context: Context): void {
  if (!context.hints) return;
  for (const service of externalServices(context)) {
    const originates = context.destinationRules.covering(service.hostname).some(({ spec: { trafficPolicy } }) => {
      const levels = [trafficPolicy, ...(trafficPolicy?.portLevelSettings ?? [])];
      return levels.some((level) => level?.tls && level.tls.mode !== 'DISABLE');
    });
    for (const [i, port] of service.ports.entries()) {
      if (routeKind(port) !== 'http' || originates) continue;
      context.report(
        'SP1021',
        service.resource,
        ['spec', 'ports', i],
        `Calls to ${service.hostname} port ${port.number} leave the mesh in plain ${port.protocol}. Originate TLS at the gateway with a DestinationRule (tls mode SIMPLE${port.targetPort === 80 ? ') and targetPort: 443 at the port' : ')'}, if the server speaks it.`,
      );
    }
    if (!service.hostname.startsWith('*')) continue;
    const routed = context.routedHosts.coveredBy(service.hostname).map(({ virtualService: { metadata, spec }, index }) => {
      return fullHostname(spec.hosts[index]!, metadata.namespace).toLowerCase();
    });
    const names = [...new Set(routed)];
    if (names.length === 0 || names.includes(service.hostname)) continue;
    context.report(
      'SP1019',
      service.resource,
      ['spec', 'hosts'],
      `${service.hostname} allows every name under it, while only ${names.join(', ')} is routed. Declare those names in place of the wildcard, with resolution DNS.`,
    );
  }
}

/** SP1022: Gateways without a bound VirtualService, which refuse every call, and ServiceEntries that no namespace can see. */
export function deadObjects(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    if (entry.spec.ports.length === 0) {
      context.report(
        'SP1022',
        entry,
        ['spec'],
        `This ServiceEntry has no ports: calls to ${entry.spec.hosts.join(', ')} go as if it were not there. Declare the ports that are called.`,
      );
    }
    if (!entry.spec.exportTo.includes('~')) continue;
    context.report(
      'SP1022',
      entry,
      ['spec', 'exportTo'],
      `exportTo ~ shows this ServiceEntry to nobody: calls to ${entry.spec.hosts.join(', ')} go as if it were not there. Export it to the namespaces that call them, or remove it.`,
    );
  }
  const bound = new Set<unknown>();
  for (const virtualService of context.of('VirtualService')) {
    const { namespace } = virtualService.metadata;
    for (const named of gatewayNames(virtualService)) if (named.bound) bound.add(findGateway(context, named.name, namespace));
  }
  for (const gateway of context.of('Gateway')) {
    const onlyServes = gateway.spec.servers.every((server) => server.tls?.mode === 'AUTO_PASSTHROUGH' || server.tls?.httpsRedirect);
    if (bound.has(gateway) || onlyServes || gateway.spec.servers.length === 0) continue;
    const { namespace, name } = (gateway.derivedFrom ?? gateway).metadata;
    context.report(
      'SP1022',
      gateway,
      ['metadata', 'name'],
      gateway.derivedFrom
        ? `No route is attached to a listener of Gateway ${namespace}/${name}: whatever reaches it is answered 404 or closed. Attach one (parentRefs: [{name: ${name}, namespace: ${namespace}}]), or remove the listener.`
        : `No VirtualService is bound to Gateway ${namespace}/${name}: whatever reaches it is answered 404 or closed. Bind one (gateways: [${namespace}/${name}]), or remove the Gateway.`,
    );
  }
}

/** SP1023: an egress gateway that nothing forces workloads to use. Asked only where the files describe the gateway's deployment. */
export function networkPolicies(context: Context): void {
  if (context.of('NetworkPolicy').some((policy) => policy.spec.policyTypes.includes('Egress'))) return;
  const services = gatewayServices(context);
  const used = new Set<string>();
  for (const virtualService of context.of('VirtualService')) {
    if (used.size === services.size) break;
    if (!onMesh(virtualService)) continue;
    for (const kind of ['http', 'tls', 'tcp'] as const) {
      for (const { route } of withDelegates(context, virtualService).spec[kind]) {
        for (const { destination } of route) {
          const host = fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase();
          if (services.has(host)) used.add(host);
        }
      }
    }
  }
  // What is missing is missing for the pods: once for all Gateways that select them.
  const told = new Set<string>();
  for (const [hostname, gateways] of services) {
    if (!used.has(hostname)) continue;
    for (const gateway of gateways) {
      const pods = formatSelector(gateway.spec.selector);
      if (told.has(pods) || !gatewayPods(context, gateway).some((pod) => !isDefaultGateway(pod.resource))) continue;
      told.add(pods);
      const others = gateways.filter(({ spec }) => formatSelector(spec.selector) === pods).length - 1;
      const also = others > 0 ? ` (nor through ${others} more that select ${pods})` : '';
      context.report(
        'SP1023',
        gateway,
        ['spec', 'selector'],
        `No NetworkPolicy restricts egress, so a workload that goes round its sidecar (another uid, a pod without one) leaves directly and not through this gateway${also}. Write policies that let only the gateway's pods leave: sallyport netpol prints them.`,
      );
    }
  }
}
