/** What a cluster can not honour and must therefore not carry in plain. */
import type { ResourceOf } from '../api/index.ts';
import type { Level } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { isTls } from '../registry/protocol.ts';
import type { PortPolicy } from './destination-rule-policy.ts';

export interface Refusal {
  readonly reason: string;
  readonly level: Level;
  readonly origin: ResourceOf<'DestinationRule'>;
}

/** Undefined where everything that the rule asks for is done. */
export function upstreamRefusal(
  proxyType: ProxyIdentity['type'],
  service: Service,
  port: ServicePort,
  rule: ResourceOf<'DestinationRule'> | undefined,
  { tls, proxyProtocol }: PortPolicy,
  withoutIdentities: boolean,
): Refusal | undefined {
  if (!rule) return undefined;
  const where = `${service.hostname}:${port.number}`;
  const refuse = (reason: string, level: Level = 'Error'): Refusal => ({ reason: `${where}: ${reason}`, level, origin: rule });
  if (tls?.mode === 'ISTIO_MUTUAL' && withoutIdentities) {
    return refuse('tls.mode ISTIO_MUTUAL needs identities, and there is no CA that gives them (--ca): calls are refused (503 UH).');
  }
  if (tls?.mode === 'MUTUAL' && !tls.credentialName && !(tls.clientCertificate && tls.privateKey)) {
    return refuse(
      'tls.mode MUTUAL names no client certificate and key, so calls are refused (503 UH). Set credentialName, or clientCertificate and privateKey.',
    );
  }
  const originates = tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL';
  if (originates && tls.credentialName && proxyType === 'sidecar' && !rule.spec.workloadSelector && !isTls(port.protocol)) {
    const reason =
      'tls.credentialName holds at gateways, and at sidecars only in a rule with a workloadSelector: calls that do not go through a gateway ' +
      'are refused (503 UH) instead of leaving in plain. Route them to the gateway, or add a workloadSelector.';
    return refuse(reason, 'Warning');
  }
  if (proxyProtocol) return refuse('trafficPolicy.proxyProtocol is not supported yet, so calls are refused (503 UH). Remove it.');
  return undefined;
}
