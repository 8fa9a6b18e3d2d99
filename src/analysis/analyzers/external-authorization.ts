import type { AuthorizationRule } from '../../api/authorization-policy.ts';
import type { ExtensionProvider } from '../../api/extension-provider.ts';
import type { ResourceOf } from '../../api/index.ts';
import { isHttp } from '../../registry/protocol.ts';
import { providerService } from '../../registry/provider-service.ts';
import { type Context, type Selectable, selectedBy } from '../context.ts';
import { gatewayPods } from './gateway.ts';
import { attachedGateways } from './gateway-identities.ts';

type Policy = ResourceOf<'AuthorizationPolicy'>;

/** SP1048, SP1049: policies with action CUSTOM whose authorizer can't be asked, at all or about connections. */
export function externalAuthorizers(context: Context): void {
  for (const policy of context.of('AuthorizationPolicy')) {
    const { action, provider: named, rules } = policy.spec;
    // Without rules it matches nothing.
    if (action !== 'CUSTOM' || rules.length === 0) continue;
    const name = named?.name ?? '';
    const provider = context.mesh.extensionProviders.find((each) => each.name === name);
    const problem = problemOf(context, name, provider);
    if (problem !== undefined) {
      context.report(
        'SP1048',
        policy,
        ['spec', 'provider', 'name'],
        `Provider "${name}" can't be asked: ${problem}. What the rules of this policy match is refused (403; connections are closed). Correct the provider's name, or add the authorizer to extensionProviders of MeshConfig and its service to the mesh.`,
      );
    } else if (provider?.envoyExtAuthzHttp) tcpPorts(context, policy, name);
  }
}

function problemOf({ registry }: Context, name: string, provider: ExtensionProvider | undefined): string | undefined {
  if (!provider) return `extensionProviders of MeshConfig have none named "${name}"`;
  const settings = provider.envoyExtAuthzHttp ?? provider.envoyExtAuthzGrpc;
  if (!settings) return 'it is no authorizer: it has neither envoyExtAuthzHttp nor envoyExtAuthzGrpc';
  const service = providerService(registry, settings.service, settings.port);
  return typeof service === 'string' ? service : undefined;
}

function tcpPorts(context: Context, policy: Policy, provider: string): void {
  const ports = [...new Set(coveredPorts(context, policy))].sort((a, b) => a - b);
  for (const [i, rule] of policy.spec.rules.entries()) {
    const covered = ports.filter((port) => covers(rule, port));
    if (covered.length === 0) continue;
    const [are, they] = covered.length > 1 ? ['ports', 'them'] : ['port', 'it'];
    context.report(
      'SP1049',
      policy,
      ['spec', 'rules', i],
      `The rule covers TCP ${are} ${covered.join(', ')} of its workloads, and provider "${provider}" is asked over HTTP (envoyExtAuthzHttp), which tells of requests alone: connections to ${they} are refused here, while Istio lets them pass unasked. Name the HTTP ports in the rule (to, operation, ports), or use an authorizer over gRPC (envoyExtAuthzGrpc).`,
    );
  }
}

function coveredPorts(context: Context, policy: Policy): number[] {
  const { targetRef, targetRefs } = policy.spec;
  if (targetRef || targetRefs.length > 0) return attachedGateways(context, policy).flatMap(serverPorts);
  const pods = selectedBy(context, policy);
  if (pods.length === 0) return [];
  const chosen = new Set(pods);
  const gateways = context.of('Gateway').filter((gateway) => gatewayPods(context, gateway).some((pod) => chosen.has(pod)));
  return [...servicePorts(context, chosen), ...gateways.flatMap(serverPorts)];
}

/** Ports of the pods that a Service declares as something else than HTTP; those whose protocol is sniffed may carry it. At a gateway its servers decide. */
function servicePorts(context: Context, pods: ReadonlySet<Selectable>): number[] {
  const gateways = new Set(context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway)));
  const chosen = new Set([...pods].filter((pod) => !gateways.has(pod)));
  return context.registry.services.flatMap(({ namespace, selector, ports }) => {
    if (Object.keys(selector).length === 0 || !context.selectIn(namespace, selector).some((pod) => chosen.has(pod))) return [];
    return ports.flatMap(({ protocol, targetPort }) =>
      isHttp(protocol) || protocol === 'Unsupported' || protocol === 'UDP' ? [] : [targetPort],
    );
  });
}

/** Ports of servers whose connections stay what they are. */
function serverPorts({ spec }: ResourceOf<'Gateway'>): number[] {
  return spec.servers.flatMap(({ port, tls }) => {
    const protocol = port.protocol.toUpperCase();
    const passes = protocol === 'HTTPS' && (tls?.mode === 'PASSTHROUGH' || tls?.mode === 'AUTO_PASSTHROUGH');
    return passes || protocol === 'TCP' || protocol === 'TLS' || protocol === 'MONGO' ? [port.number] : [];
  });
}

/** Conditions on the caller or on what only requests have narrow a rule, but leave the port in it. */
function covers({ to }: AuthorizationRule, port: number): boolean {
  const text = String(port);
  if (to.length === 0) return true;
  return to.some(({ operation }) => {
    const { ports = [], notPorts = [] } = operation ?? {};
    return (ports.length === 0 || ports.includes(text)) && !notPorts.includes(text);
  });
}
