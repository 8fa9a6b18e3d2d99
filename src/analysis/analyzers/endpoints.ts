import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';

/** SP1029: hosts whose resolution takes the addresses from the object, which names none. */
export function missingEndpoints(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const { hosts, resolution, endpoints, workloadSelector } = entry.spec;
    if (resolution !== 'STATIC' || endpoints.length > 0 || workloadSelector) continue;
    // It stands for a refusal.
    if (entry.derivedFrom?.kind === 'EgressPolicy') continue;
    context.report(
      'SP1029',
      entry,
      ['spec', 'resolution'],
      `Resolution STATIC takes the addresses of ${hosts.join(', ')} from endpoints or a workloadSelector, and there is neither: calls are answered 503 (UH), connections are closed. Add endpoints, or use resolution DNS.`,
    );
  }
}

/** SP1030: rules of the Gateway API's HTTP routes that lead nowhere. Beside others, one that matches a part of the calls may be there to refuse them. */
export function missingBackends(context: Context): void {
  for (const kind of ['HTTPRoute', 'GRPCRoute'] as const) {
    for (const route of context.of(kind)) {
      for (const [i, rule] of route.spec.rules.entries()) {
        if (rule.backendRefs.length > 0 || rule.filters.some(({ type }) => type === 'RequestRedirect')) continue;
        if (rule.matches.length > 0 && route.spec.rules.length > 1) continue;
        context.report(
          'SP1030',
          route,
          ['spec', 'rules', i],
          'This rule has no backendRefs and redirects nothing: the calls that it matches are answered 500. Add the Service or the host (kind: Hostname, group: networking.istio.io) to which they go.',
        );
      }
    }
  }
}

/** Istio's own classes of Gateways. */
const ISTIO_CLASSES = ['istio', 'istio-remote', 'istio-waypoint', 'istio-east-west'];

/** SP1032: Gateways of the Gateway API whose class is nearly one of Istio's. */
export function misspeltClasses(context: Context): void {
  const declared = new Set(context.of('GatewayClass').map(({ metadata }) => metadata.name));
  for (const gateway of context.of('KubernetesGateway')) {
    const { gatewayClassName } = gateway.spec;
    if (ISTIO_CLASSES.includes(gatewayClassName) || declared.has(gatewayClassName)) continue;
    const meant = closest(gatewayClassName, ISTIO_CLASSES);
    if (!meant) continue;
    context.report(
      'SP1032',
      gateway,
      ['spec', 'gatewayClassName'],
      `No GatewayClass ${gatewayClassName} is declared and Istio has none of that name: it serves nothing for this Gateway, and what comes for its routes is refused. Did you mean ${meant}?`,
      { from: gatewayClassName, to: meant },
    );
  }
}
