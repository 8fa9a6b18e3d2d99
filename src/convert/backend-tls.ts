/** DestinationRules that do nothing but originate TLS as BackendTLSPolicies. */
import type { ClientTlsSettings, ResourceOf } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { fullHostname } from '../lib/hostname.ts';
import type { Service } from '../registry/model.ts';
import { type ConvertInput, isHostname, type Made, type Maker, Problems } from './model.ts';

type DestinationRule = ResourceOf<'DestinationRule'>;

interface ConvertedRule {
  readonly problems: Problems;
  make(maker: Maker): readonly Made[];
}

/** Of one port, or of all. */
interface PortTls {
  readonly path: readonly PathStep[];
  readonly port: number | undefined;
  readonly tls: ClientTlsSettings;
}

export function convertDestinationRule({ snapshot, registry }: ConvertInput, rule: DestinationRule): ConvertedRule {
  const problems = new Problems(rule);
  const { namespace, name } = rule.metadata;
  const host = fullHostname(rule.spec.host.toLowerCase(), namespace);
  const service = registry.lookup(host, namespace);
  const settings = settingsOf(rule, problems);
  if (settings.length > 0) {
    checkTarget(rule, host, service, problems);
    const rival = snapshot
      .list('DestinationRule')
      .find((other) => other !== rule && fullHostname(other.spec.host.toLowerCase(), other.metadata.namespace) === host);
    if (rival) problems.add(['spec', 'host'], `DestinationRule ${rival.metadata.namespace}/${rival.metadata.name} holds for ${host} too`);
  }
  const specs = settings.map(({ path, port, tls }) => {
    const sectionName = port === undefined ? undefined : service?.ports.find(({ number }) => number === port)?.name;
    if (port !== undefined && !sectionName) problems.add([...path, 'port'], `${host} has no port ${port} with a name`);
    return {
      targetRefs: [{ ...targetOf(service), ...(sectionName && { sectionName }) }],
      validation: validationOf(tls, [...path, 'tls'], problems),
    };
  });
  return { problems, make: (maker) => specs.map((spec) => maker.make('BackendTLSPolicy', namespace, name, spec)) };
}

const OWN = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tunnel', 'proxyProtocol', 'retryBudget'] as const;

/** The TLS settings of a rule that has nothing else. */
function settingsOf({ spec }: DestinationRule, problems: Problems): PortTls[] {
  const path = ['spec', 'trafficPolicy'];
  const policy = spec.trafficPolicy;
  if (spec.subsets.length > 0) problems.add(['spec', 'subsets'], 'the Gateway API has no subsets');
  if (spec.workloadSelector) problems.add(['spec', 'workloadSelector'], 'a BackendTLSPolicy holds for all clients');
  if (spec.exportTo.length > 0 && !spec.exportTo.includes('*'))
    problems.add(['spec', 'exportTo'], 'a BackendTLSPolicy holds for all clients');
  for (const field of OWN) if (policy?.[field]) problems.add([...path, field], `the Gateway API has no counterpart of ${field}`);
  const ports = policy?.portLevelSettings ?? [];
  for (const [index, each] of ports.entries())
    for (const field of OWN) {
      const value = (each as Partial<Record<string, unknown>>)[field];
      if (value) problems.add([...path, 'portLevelSettings', index, field], `the Gateway API has no counterpart of ${field}`);
    }
  if (policy?.tls && ports.length > 0)
    problems.add([...path, 'portLevelSettings'], 'of BackendTLSPolicies for all ports and for one both hold');
  const settings = [
    ...(policy?.tls ? [{ path, port: undefined, tls: policy.tls }] : []),
    ...ports.flatMap(({ port, tls }, index) => (tls ? [{ path: [...path, 'portLevelSettings', index], port: port?.number, tls }] : [])),
  ];
  if (settings.length === 0 && problems.none) problems.add(['kind'], 'the Gateway API has no counterpart of a DestinationRule without TLS');
  return settings;
}

function checkTarget({ metadata }: DestinationRule, host: string, service: Service | undefined, problems: Problems): void {
  if (!service || service.hostname !== host) {
    problems.add(['spec', 'host'], `a BackendTLSPolicy holds for a Service or ServiceEntry, and none declares ${host}`);
    return;
  }
  const { kind, metadata: of, spec } = service.resource;
  if (of.namespace !== metadata.namespace)
    problems.add(
      ['metadata', 'namespace'],
      `a BackendTLSPolicy stands in the namespace of its ${kind}, ${of.namespace}, and holds for all clients`,
    );
  const hosts = kind === 'ServiceEntry' ? (spec as { readonly hosts: readonly string[] }).hosts : [host];
  if (hosts.length > 1)
    problems.add(['spec', 'host'], `ServiceEntry ${of.name} declares other hosts as well, and a BackendTLSPolicy holds for all of them`);
}

function targetOf(service: Service | undefined): object {
  if (!service) return {};
  const { kind, metadata } = service.resource;
  return { group: kind === 'ServiceEntry' ? 'networking.istio.io' : '', kind, name: metadata.name };
}

function validationOf(tls: ClientTlsSettings, path: readonly PathStep[], problems: Problems): object {
  if (tls.mode !== 'SIMPLE') problems.add([...path, 'mode'], `a BackendTLSPolicy originates TLS of mode SIMPLE, not ${tls.mode}`);
  if (!tls.sni || !isHostname(tls.sni) || tls.sni.startsWith('*')) problems.add(path, 'a BackendTLSPolicy names the server: state sni');
  if (tls.caCertificates && tls.caCertificates !== 'system')
    problems.add([...path, 'caCertificates'], 'a BackendTLSPolicy takes CAs from a ConfigMap or the system, not from a file');
  if (tls.credentialName)
    problems.add(
      [...path, 'credentialName'],
      'a BackendTLSPolicy takes CAs from a ConfigMap of the host’s namespace, not from a Secret of the proxy’s',
    );
  for (const field of ['caCrl', 'insecureSkipVerify'] as const)
    if (tls[field]) problems.add([...path, field], `a BackendTLSPolicy has no ${field}`);
  // With none a BackendTLSPolicy asks more than the rule did: that the certificate is for its hostname.
  if (tls.subjectAltNames.length === 0)
    problems.add(path, 'a BackendTLSPolicy verifies the name in the certificate, which this does not: state subjectAltNames');
  if (tls.subjectAltNames.length > 5) problems.add([...path, 'subjectAltNames'], 'a BackendTLSPolicy has at most five names');
  return {
    hostname: tls.sni,
    wellKnownCACertificates: 'System',
    subjectAltNames: tls.subjectAltNames.map((name) =>
      name.includes('://') ? { type: 'URI', uri: name } : { type: 'Hostname', hostname: name },
    ),
  };
}
