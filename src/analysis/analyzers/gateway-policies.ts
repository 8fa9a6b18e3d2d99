import type { AuthorizationOperation, AuthorizationRule, AuthorizationSource } from '../../api/authorization-policy.ts';
import type { ResourceOf, Server } from '../../api/index.ts';
import { resourceText } from '../../api/resource.ts';
import { isHttp, parseProtocol } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';
import type { Gateway } from '../egress-model.ts';
import { gatewaysOf } from './gateway-identities.ts';

type Policy = ResourceOf<'AuthorizationPolicy'>;

/** What only requests say. */
const OPERATION = [
  'hosts',
  'notHosts',
  'methods',
  'notMethods',
  'paths',
  'notPaths',
] as const satisfies readonly (keyof AuthorizationOperation)[];
const SOURCE = ['requestPrincipals', 'notRequestPrincipals'] as const satisfies readonly (keyof AuthorizationSource)[];

/** SP1057, SP1058: what policies of a gateway ask, held against what its servers see of a call. */
export function gatewayPolicies(context: Context): void {
  const policies = context.of('AuthorizationPolicy').map((policy) => ({ policy, gateways: gatewaysOf(context, policy) }));
  for (const { policy, gateways } of policies) {
    if (gateways.length === 0) continue;
    const beside = policies.filter((other) => other.policy !== policy && other.gateways.some((gateway) => gateways.includes(gateway)));
    reportUnseen(
      context,
      policy,
      gateways,
      beside.map((other) => other.policy),
    );
    reportPorts(context, policy, gateways);
  }
}

/** Servers that see bytes, or TLS that they do not open to requests. */
function seesNoRequests({ port, tls }: Server): boolean {
  const protocol = parseProtocol(port.protocol);
  return !isHttp(protocol) && !(protocol === 'HTTPS' && tls?.mode !== 'PASSTHROUGH' && tls?.mode !== 'AUTO_PASSTHROUGH');
}

/** Whether the rule may hold where there are no requests. */
function holdsWithoutRequests({ from, to, when }: AuthorizationRule): boolean {
  return (
    (from.length === 0 || from.some(({ source }) => SOURCE.every((field) => (source?.[field].length ?? 0) === 0))) &&
    (to.length === 0 || to.some(({ operation }) => OPERATION.every((field) => (operation?.[field].length ?? 0) === 0))) &&
    when.every(({ key }) => !key.startsWith('request.'))
  );
}

function allowsWithoutRequests({ spec }: Policy): boolean {
  return spec.action === 'ALLOW' && spec.rules.some(holdsWithoutRequests);
}

function reportUnseen(context: Context, policy: Policy, gateways: readonly Gateway[], beside: readonly Policy[]): void {
  const { action, rules } = policy.spec;
  if (action !== 'ALLOW' || rules.length === 0 || [policy, ...beside].some(allowsWithoutRequests)) return;
  const blind = gateways.flatMap((gateway) => gateway.spec.servers.filter(seesNoRequests).map((server) => ({ gateway, server })));
  if (blind.length === 0) return;
  const where = [...new Set(blind.map(({ gateway, server }) => `port ${server.port.number} of ${resourceText(gateway)}`))].join(', ');
  const names = [...new Set(blind.flatMap(({ server }) => server.hosts.map((host) => host.slice(host.indexOf('/') + 1))))].join(', ');
  context.report(
    'SP1057',
    policy,
    ['spec', 'rules', 0],
    `All rules ask what only requests say (hosts, methods, paths, request attributes), and ${where} sees none: there no rule holds, and where an ALLOW policy is, what no rule allows is refused. Connections there are all closed. Add a rule that holds for them: {when: [{key: connection.sni, values: [${names}]}]}.`,
  );
}

/** A Host has the port that the client calls, but for the one that the scheme stands for; policies compare it as it is. */
function reportPorts(context: Context, policy: Policy, gateways: readonly Gateway[]): void {
  const { action, rules } = policy.spec;
  const effect =
    action === 'ALLOW'
      ? 'this rule does not allow those calls'
      : action === 'DENY'
        ? 'this rule lets those calls pass'
        : 'this rule does not hold for those calls';
  for (const [i, { to }] of rules.entries()) {
    for (const [j, { operation }] of to.entries()) {
      const hosts = operation?.hosts ?? [];
      for (const [k, host] of hosts.entries()) {
        const name = host.toLowerCase();
        if (/[*:]/.test(name) || !context.gatewayServers.covering(name).some(({ gateway }) => gateways.includes(gateway))) continue;
        const ports = context.services
          .at(name)
          .flatMap((service) => service.ports.filter(({ protocol }) => isHttp(protocol)).map(({ number }) => number));
        const missing = ports.filter((port) => port !== 80 && !hosts.some((other) => covers(other.toLowerCase(), `${name}:${port}`)));
        if (missing.length === 0) continue;
        context.report(
          'SP1058',
          policy,
          ['spec', 'rules', i, 'to', j, 'operation', 'hosts', k],
          `Clients that call port ${missing.join(', ')} of ${name} write it into Host (${name}:${missing[0]}), and a policy compares Host as it is: ${effect}. Add "${name}:*".`,
        );
      }
    }
  }
}

/** As policies compare: `x*` is a prefix, `*x` a suffix. */
function covers(pattern: string, value: string): boolean {
  if (pattern === value || pattern === '*') return true;
  if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1));
  return pattern.startsWith('*') && value.endsWith(pattern.slice(1));
}
