/** What a cluster can not honour and must therefore not carry in plain. */
import type { ClientTlsSettings, ResourceOf } from '../api/index.ts';
import type { Level } from '../lib/finding.ts';
import { hostCovers } from '../lib/hostname.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { isHttp, isTls } from '../registry/protocol.ts';
import type { PortPolicy } from './destination-rule-policy.ts';

export interface Refusal {
  readonly reason: string;
  /** Undefined: it is as it should be, and no finding. */
  readonly level: Level | undefined;
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
  bound: boolean,
): Refusal | undefined {
  if (!rule) return undefined;
  const where = `${service.hostname}:${port.number}`;
  const refuse = (reason: string): Refusal => ({ reason: `${where}: ${reason}`, level: 'Error', origin: rule });
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
    return { ...refuse(reason), level: rule.derivedFrom?.kind === 'EgressPolicy' ? undefined : 'Warning' };
  }
  const unverified = bound && originates ? unverifiedName(service, port, tls) : undefined;
  if (unverified !== undefined)
    return refuse(`the host is bound (sallyport.dev/bind: enforce), and ${unverified}: calls are refused (503 UH).`);
  if (proxyProtocol) return refuse('trafficPolicy.proxyProtocol is not supported yet, so calls are refused (503 UH). Remove it.');
  return undefined;
}

/** Why the TLS of a rule would take another server for the bound host, as a clause; undefined where only the host's own certificate passes. */
function unverifiedName({ hostname, subjectAltNames }: Service, { protocol }: ServicePort, tls: ClientTlsSettings): string | undefined {
  if (tls.insecureSkipVerify) return "the rule's tls does not verify the server's certificate. Remove insecureSkipVerify";
  const names = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : subjectAltNames;
  const foreign = names.find((name) => !hostCovers(hostname, name.toLowerCase()));
  if (foreign !== undefined) return `a certificate for ${foreign} would be taken for its own. List names of ${hostname} in subjectAltNames`;
  if (tls.sni && !hostCovers(hostname, tls.sni.toLowerCase()))
    return `the rule's SNI is ${tls.sni}. Leave sni out, or name ${hostname} there`;
  // Without an SNI of the rule's own, requests bring the name that is verified.
  const verifiesRequested = (isHttp(protocol) || protocol === 'Unsupported') && !tls.sni;
  return names.length > 0 || verifiesRequested
    ? undefined
    : "the rule's tls verifies no name in the server's certificate. Set subjectAltNames";
}
