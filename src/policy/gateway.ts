/**
 * What leads hosts through the egress gateway so that it knows who calls: sidecars come by the mesh's mutual TLS, each host with an SNI of its own, and the
 * gateway denies those that no policy names. Only DENY is written: an ALLOW of ours would refuse what others lead through the same gateway. Pure.
 */

import { CREDENTIALS } from '../api/inject-credentials.ts';
import { deniedCalls } from './denied.ts';
import { declaredName, directObjects, SHOWN_SUBSET } from './direct.ts';
import { GATEWAY_NAMESPACE, gatewayPort } from './gateway-port.ts';
import { type HostPlan, labelName, type Made, type PortPlan } from './plan.ts';
import { isRestricted, type MadeRoute, narrowed, refusal, whyRefused } from './routes.ts';

/** What selects the gateway of an Istio installation. */
const SELECTOR = { istio: 'egressgateway' };

/** The Service by which sidecars know the ports of the gateway that policies use. */
export const EGRESS_SERVICE = 'egress-policies';
const EGRESS_HOST = `${EGRESS_SERVICE}.${GATEWAY_NAMESPACE}.svc.cluster.local`;

/**
 * The objects of one host. A subset of the gateway's Service has the host's SNI. Sidecars and the gateway have a VirtualService each: beside `gateways` in a
 * match labels and namespaces of callers would count for nothing.
 */
export function hostObjects(plan: HostPlan): Made[] {
  const led = plan.ports.filter(({ through }) => through === 'gateway');
  if (led.length === 0) return directObjects(plan);
  const label = labelName(plan.name);
  const own = (port: PortPlan) => ({ port: gatewayPort(port.port)! });
  const out = ({ port, certificate }: PortPlan) => [
    { destination: { host: declaredName(plan), port: { number: port }, ...(certificate && { subset: SHOWN_SUBSET }) } },
  ];
  const objects = directObjects(plan, ({ through, port }) =>
    through === 'gateway' ? { host: EGRESS_HOST, subset: label, port: { number: gatewayPort(port)! } } : undefined,
  );
  const http = led.filter(({ protocol }) => protocol === 'HTTP').flatMap((port) => atGateway(plan, port, own(port), out(port)));
  // What was TLS or bytes to the sidecar comes out of the mesh's TLS as bytes.
  const tcp = led.filter(({ protocol }) => protocol !== 'HTTP').map((port) => ({ match: [own(port)], route: out(port) }));
  const routes: Made = {
    kind: 'VirtualService',
    name: `${plan.name}-at-gateway`,
    namespace: plan.namespace,
    spec: {
      hosts: [plan.host],
      gateways: [`${GATEWAY_NAMESPACE}/${label}`],
      ...(http.length > 0 && { http: http.map(({ rule }) => rule) }),
      ...(tcp.length > 0 && { tcp }),
      exportTo: [GATEWAY_NAMESPACE],
    },
    ruleOrigins: http.map(({ origin }) => origin),
  };
  return [...objects, routes, gatewayOf(plan, led), ...deniedOf(plan, led)];
}

/** Methods and paths are held to here, where the application has no hand in it. */
function atGateway(plan: HostPlan, port: PortPlan, match: object, route: object[]): MadeRoute[] {
  const only = port.rules.flatMap((rule) => rule.only ?? []);
  const origin = port.rules.find((rule) => rule.origin)?.origin;
  if (!port.rules.every((rule) => rule.only) || !isRestricted(port, plan)) return [{ rule: { match: [match], route }, origin }];
  return [
    { rule: { name: 'allowed', match: narrowed([match], only), route }, origin },
    { rule: { name: 'not-allowed', match: [match], directResponse: refusal(whyRefused(plan, port)) }, origin },
  ];
}

function gatewayOf({ name, host }: HostPlan, led: readonly PortPlan[]): Made {
  const servers = led.map(({ port, protocol }) => ({
    port: { number: gatewayPort(port)!, name: `${protocol.toLowerCase()}-${port}`, protocol: protocol === 'HTTP' ? 'HTTPS' : 'TLS' },
    hosts: [host],
    tls: { mode: 'ISTIO_MUTUAL' },
  }));
  const credentials = led.flatMap(({ port, credentials = [] }) => credentials.map((rule) => ({ ...rule, ports: [gatewayPort(port)] })));
  return {
    kind: 'Gateway',
    name: labelName(name),
    namespace: GATEWAY_NAMESPACE,
    spec: { selector: SELECTOR, servers },
    ...(credentials.length > 0 && { annotations: { [CREDENTIALS]: JSON.stringify(credentials) } }),
  };
}

function deniedOf({ name, host }: HostPlan, led: readonly PortPlan[]): Made[] {
  const rules = led.flatMap((port) => deniedCalls(host, gatewayPort(port.port)!, port.rules)!);
  const spec = { selector: { matchLabels: SELECTOR }, action: 'DENY', rules };
  return [{ kind: 'AuthorizationPolicy', name, namespace: GATEWAY_NAMESPACE, spec }];
}

export function leadsToGateway({ ports }: HostPlan): boolean {
  return ports.some(({ through }) => through === 'gateway');
}

/** The Service of the gateway and the DestinationRule for it, which all hosts share; none where none is led through it. */
export function gatewayObjects(plans: readonly HostPlan[]): Made[] {
  const led = plans.filter(leadsToGateway);
  if (led.length === 0) return [];
  const seenBy = [...new Set(led.flatMap(({ exportTo = [] }) => exportTo))].sort();
  const ports = new Set(
    led.flatMap((plan) => plan.ports.filter(({ through }) => through === 'gateway').map(({ port }) => gatewayPort(port)!)),
  );
  const service = {
    selector: SELECTOR,
    ports: [...ports].sort((a, b) => a - b).map((port) => ({ name: `tls-${port}`, port, targetPort: port })),
  };
  const subsets = led.map(({ name, host }) => ({ name: labelName(name), trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL', sni: host } } }));
  return [
    {
      kind: 'Service',
      name: EGRESS_SERVICE,
      namespace: GATEWAY_NAMESPACE,
      spec: service,
      annotations: { 'networking.istio.io/exportTo': seenBy.join() },
    },
    { kind: 'DestinationRule', name: EGRESS_SERVICE, namespace: GATEWAY_NAMESPACE, spec: { host: EGRESS_HOST, subsets, exportTo: seenBy } },
  ];
}
