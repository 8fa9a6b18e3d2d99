import type { ClientTlsSettings, Pod, ResourceOf } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { inPlaceOf } from '../../lib/finding.ts';
import { fullHostname, isShortName } from '../../lib/hostname.ts';
import { matchesLabels } from '../../lib/labels.ts';
import type { Service } from '../../registry/model.ts';
import type { Context } from '../context.ts';

/**
 * IST0128, IST0129: TLS origination without a CA. The recorded Istio verifies against the system's CAs then, which is right for public servers;
 * older releases verified nothing, and a private CA is refused, so it is better stated.
 */
export function caCertificates(context: Context): void {
  const verifies = context.mesh.defaultConfig?.proxyMetadata?.VERIFY_CERTIFICATE_AT_CLIENT !== 'false';
  for (const rule of context.of('DestinationRule')) {
    // Nobody could set it there.
    if (rule.derivedFrom?.kind === 'EgressPolicy') continue;
    const { trafficPolicy, host } = rule.spec;
    if (lacksCa(trafficPolicy?.tls)) {
      context.report('IST0128', rule, ['spec', 'trafficPolicy', 'tls'], text(rule, `${host}`, trafficPolicy!.tls!, verifies));
    }
    for (const [i, level] of (trafficPolicy?.portLevelSettings ?? []).entries()) {
      if (!lacksCa(level.tls)) continue;
      context.report(
        'IST0129',
        rule,
        ['spec', 'trafficPolicy', 'portLevelSettings', i, 'tls'],
        text(rule, `${host} port ${level.port?.number ?? '?'}`, level.tls!, verifies),
      );
    }
  }
}

function lacksCa(tls: ClientTlsSettings | undefined): boolean {
  return (tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL') && !tls.caCertificates && !tls.credentialName && !tls.insecureSkipVerify;
}

function text(rule: ResourceOf<'DestinationRule'>, target: string, tls: ClientTlsSettings, verifies: boolean): string {
  const consequence = verifies
    ? "the server's certificate is verified against the operating system's CAs only, and by older releases not at all"
    : "the server's certificate goes unverified";
  return `DestinationRule ${rule.metadata.namespace}/${rule.metadata.name} sets TLS mode ${tls.mode} for ${target} but no caCertificates to validate the server's identity: ${consequence}. Set caCertificates (the system's bundle is /etc/ssl/certs/ca-certificates.crt) or, for gateways or beside a workloadSelector, credentialName.`;
}

/** IST0173, IST0174: whether a rule's host is known, and whether its subsets select anything. */
export function destinationRuleHosts(context: Context): void {
  for (const rule of context.of('DestinationRule')) {
    const { namespace } = rule.metadata;
    const host = fullHostname(rule.spec.host, namespace).toLowerCase();
    const services = context.services.overlapping(host);
    if (services.length === 0 && context.isBroken(host)) continue;
    if (services.length === 0) {
      const near = context.nearService.near(host);
      if (isShortName(rule.spec.host) && context.services.at(rule.spec.host.toLowerCase()).length > 0) {
        context.report(
          'IST0174',
          rule,
          ['spec', 'host'],
          `A name without a dot is short for a Service of the namespace: this DestinationRule is for ${host}, not for the ServiceEntry's host ${rule.spec.host}, and its settings (TLS, subsets, limits) reach no traffic. Give the host a name with a dot, in the ServiceEntry and here.`,
        );
        continue;
      }
      context.report(
        'IST0174',
        rule,
        ['spec', 'host'],
        `Host ${host} of this DestinationRule is no known service, so its settings (TLS, subsets, limits) reach no traffic. ${near ? `Did you mean ${near}?` : 'Declare the service, or correct the host.'}`,
        inPlaceOf(rule.spec.host, near),
      );
      continue;
    }
    checkSubsets(context, rule, services);
  }
}

/** What Istio takes for labels of an endpoint beside its pod's own: where its node stands. */
function topologyOf(context: Context, resource: Resource): Readonly<Record<string, string>> {
  const { nodeName } = resource.kind === 'Pod' ? (resource.spec as Pod) : {};
  if (!nodeName) return {};
  const { labels = {} } = context.find('Node', '', nodeName)?.metadata ?? {};
  const topology: Record<string, string> = { 'kubernetes.io/hostname': nodeName };
  for (const name of TOPOLOGY) if (labels[name]) topology[name] = labels[name];
  return topology;
}

const TOPOLOGY = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone'];

function checkSubsets(context: Context, rule: ResourceOf<'DestinationRule'>, services: readonly Service[]): void {
  for (const [i, subset] of rule.spec.subsets.entries()) {
    if (Object.keys(subset.labels).length === 0) continue;
    const selected = services.some((service) => {
      const selectsPods = service.registry === 'Kubernetes' && Object.keys(service.selector).length > 0;
      const byPods =
        selectsPods &&
        context
          .selectIn(service.namespace, service.selector)
          .some(({ labels, resource }) => matchesLabels(subset.labels, { ...labels, ...topologyOf(context, resource) }));
      return (
        byPods ||
        service.ports.some((port) =>
          context.registry.endpoints(service, port).some((endpoint) => matchesLabels(subset.labels, endpoint.labels)),
        )
      );
    });
    if (selected) continue;
    context.report(
      'IST0173',
      rule,
      ['spec', 'subsets', i, 'labels'],
      `Subset "${subset.name}" selects no endpoint of ${rule.spec.host}: routes to it end in 503 (UH). Use labels that the host's pods or endpoints have.`,
    );
  }
}
