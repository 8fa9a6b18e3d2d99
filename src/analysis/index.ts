/** `analyze`: everything that can be said of a configuration without making a call. */

import type { ResourceOf } from '../api/index.ts';
import { type Resource, resourceText } from '../api/resource.ts';
import { messageOf } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import { finished } from '../lib/pace.ts';
import { ambientMode } from './analyzers/ambient.ts';
import { annotations } from './analyzers/annotations.ts';
import { bindings } from './analyzers/binding.ts';
import { credentials, policySecrets } from './analyzers/credentials.ts';
import { delegates } from './analyzers/delegates.ts';
import { caCertificates, destinationRuleHosts } from './analyzers/destination-rule.ts';
import { unseenSubsets } from './analyzers/destination-rule-reach.ts';
import { dialledPorts } from './analyzers/dialled-ports.ts';
import { dynamicDnsRules } from './analyzers/dynamic-dns-rules.ts';
import { egressBypass } from './analyzers/egress-bypass.ts';
import { copiesPastGateways } from './analyzers/egress-copies.ts';
import { deadObjects, hardening, networkPolicies, privateAddresses } from './analyzers/egress-exposure.ts';
import { fieldsWithoutEffect, tcpCollisions, tlsMatches, tlsOrigination, unusedSubsets } from './analyzers/egress-routes.ts';
import { strangePortNames, unnamedEndpointPorts } from './analyzers/endpoint-ports.ts';
import { emptyDistributions, missingBackends, missingEndpoints, misspeltClasses } from './analyzers/endpoints.ts';
import { envoyFilters } from './analyzers/envoy-filter.ts';
import { externalAuthorizers } from './analyzers/external-authorization.ts';
import { forwardProxies } from './analyzers/forward-proxies.ts';
import { conflictingGateways, gatewayCertificates, gatewayPorts } from './analyzers/gateway.ts';
import { gatewayHandover } from './analyzers/gateway-handover.ts';
import { gatewayHosts } from './analyzers/gateway-hosts.ts';
import { gatewayIdentities } from './analyzers/gateway-identities.ts';
import { gatewayPolicies } from './analyzers/gateway-policies.ts';
import { gatewayRoutes } from './analyzers/gateway-routes.ts';
import { gatewaySecrets } from './analyzers/gateway-secret.ts';
import { httpRulesOnTls } from './analyzers/http-rules-on-tls.ts';
import { http2Upgrades } from './analyzers/http2-upgrades.ts';
import { hiddenPorts, sidecarImports } from './analyzers/imports.ts';
import { automaticImages, namespaceLabels, podsWithoutProxy, proxyImages } from './analyzers/injection.ts';
import { gatewayApiServed, gatewayApiVersions, kubernetesVersion } from './analyzers/installation.ts';
import { ledAstray } from './analyzers/led-astray.ts';
import { logFilters } from './analyzers/log-filters.ts';
import { meshNetworks } from './analyzers/mesh-networks.ts';
import { meshHostnames } from './analyzers/mesh-routes.ts';
import { conditions, deprecatedFields, ingressBypassesSubsets, kubernetesGatewaySelectors } from './analyzers/misc.ts';
import { multiClusterServices } from './analyzers/multi-cluster.ts';
import { mutualTls } from './analyzers/mutual-tls.ts';
import { misspeltNamespaces } from './analyzers/namespaces.ts';
import { neverMatching } from './analyzers/never-matching.ts';
import { openSidecars } from './analyzers/open-sidecars.ts';
import { overruledRules } from './analyzers/overruled-rules.ts';
import { authorizationPolicies } from './analyzers/policies.ts';
import { peerPorts, policyConditions } from './analyzers/policy-conditions.ts';
import { policyTokens } from './analyzers/policy-tokens.ts';
import { plainStarts, serverNamesNeeded } from './analyzers/port-protocols.ts';
import { refusedObjects } from './analyzers/refused.ts';
import { requestSettings, ruleSettings } from './analyzers/rule-settings.ts';
import { ambientSidecars, sidecarSelectors, telemetrySelectors } from './analyzers/selectors.ts';
import { conflictingServiceEntryProtocols, lostTargetPorts, serviceEntryAddresses } from './analyzers/service-entry.ts';
import { stuckListeners } from './analyzers/stuck-listeners.ts';
import { telemetryProviders } from './analyzers/telemetry-providers.ts';
import { trailingDots } from './analyzers/trailing-dots.ts';
import { unboundGateways } from './analyzers/unbound-gateways.ts';
import { uncapturedTraffic } from './analyzers/uncaptured.ts';
import { undeclaredPorts } from './analyzers/undeclared-ports.ts';
import { upstreamTlsFits } from './analyzers/upstream-tls.ts';
import { conflictingMeshHosts, jwtClaimRoutes, losingRoutes } from './analyzers/virtual-service-conflicts.ts';
import { virtualServiceDestinations } from './analyzers/virtual-service-destinations.ts';
import { virtualServiceGateways } from './analyzers/virtual-service-gateways.ts';
import { virtualServiceRules } from './analyzers/virtual-service-rules.ts';
import { externalControlPlanes, injectionWebhooks } from './analyzers/webhooks.ts';
import { applicationUids, deploymentServices, fetchedKeys, keyFetching, portNames } from './analyzers/workloads.ts';
import { type AnalysisInput, type Analyzer, type CreatedContext, createContext } from './context.ts';
import { MESSAGES } from './messages.ts';

export type { AnalysisInput } from './context.ts';

const ANALYZERS: readonly Analyzer[] = [
  namespaceLabels,
  misspeltNamespaces,
  podsWithoutProxy,
  automaticImages,
  proxyImages,
  annotations,
  deploymentServices,
  portNames,
  applicationUids,
  uncapturedTraffic,
  keyFetching,
  injectionWebhooks,
  externalControlPlanes,
  gatewayApiVersions,
  gatewayApiServed,
  kubernetesVersion,
  envoyFilters,
  meshNetworks,
  multiClusterServices,
  virtualServiceGateways,
  virtualServiceDestinations,
  virtualServiceRules,
  delegates,
  neverMatching,
  unboundGateways,
  conflictingMeshHosts,
  losingRoutes,
  jwtClaimRoutes,
  ingressBypassesSubsets,
  destinationRuleHosts,
  unseenSubsets,
  overruledRules,
  mutualTls,
  caCertificates,
  gatewayPorts,
  conflictingGateways,
  gatewayCertificates,
  gatewaySecrets,
  policySecrets,
  serviceEntryAddresses,
  lostTargetPorts,
  trailingDots,
  conflictingServiceEntryProtocols,
  missingEndpoints,
  emptyDistributions,
  unnamedEndpointPorts,
  strangePortNames,
  missingBackends,
  meshHostnames,
  misspeltClasses,
  sidecarSelectors,
  ambientSidecars,
  telemetrySelectors,
  authorizationPolicies,
  externalAuthorizers,
  fetchedKeys,
  gatewayIdentities,
  gatewayPolicies,
  policyConditions,
  policyTokens,
  peerPorts,
  telemetryProviders,
  logFilters,
  kubernetesGatewaySelectors,
  conditions,
  deprecatedFields,
  egressBypass,
  copiesPastGateways,
  tlsMatches,
  unusedSubsets,
  fieldsWithoutEffect,
  ruleSettings,
  requestSettings,
  dialledPorts,
  tcpCollisions,
  tlsOrigination,
  upstreamTlsFits,
  httpRulesOnTls,
  ledAstray,
  openSidecars,
  http2Upgrades,
  stuckListeners,
  dynamicDnsRules,
  undeclaredPorts,
  plainStarts,
  serverNamesNeeded,
  sidecarImports,
  hiddenPorts,
  ambientMode,
  gatewayRoutes,
  gatewayHandover,
  gatewayHosts,
  privateAddresses,
  bindings,
  credentials,
  forwardProxies,
  hardening,
  deadObjects,
  networkPolicies,
  refusedObjects,
];

export interface AnalysisOptions {
  /** Reports what could be narrower or encrypted (SP1019, SP1021) too. Default false. */
  readonly hints?: boolean;
  /** Findings of other stages (the registry's conflicts), to be suppressed and sorted with these. */
  readonly also?: readonly Finding[];
  /** `CODE=ORIGIN`; both may hold `*`. */
  readonly suppress?: readonly string[];
  /** All of them unless a test says otherwise. */
  readonly analyzers?: readonly Analyzer[];
}

const SUPPRESS_ANNOTATION = 'galley.istio.io/analyze-suppress';
const LEVELS = ['Error', 'Warning', 'Info'];

/** Every finding on a configuration, decoding's included: by level, then by place. */
export function analyze(input: AnalysisInput, options: AnalysisOptions = {}): Finding[] {
  return finished(analysisSteps(input, options));
}

/** The same in steps, for whoever has something else to do in between. */
export function* analysisSteps(input: AnalysisInput, options: AnalysisOptions = {}): Generator<void, Finding[]> {
  const created = createContext(input, { hints: options.hints ?? false });
  for (const analyzer of options.analyzers ?? ANALYZERS) {
    yield* run(analyzer, created);
    yield;
  }
  const all = [...input.snapshot.findings, ...(options.also ?? []), ...created.findings];
  const suppressed = suppressions(input.snapshot.all() as readonly ResourceOf<'Gateway'>[], options.suppress ?? []);
  return all.filter((finding) => !suppressed(finding)).sort(compare);
}

/** One analyzer that breaks costs its own findings, not the others'. */
function* run(analyzer: Analyzer, { context, findings, reading }: CreatedContext): Generator<void> {
  try {
    const steps: Generator<void> | undefined = analyzer(context) ?? undefined;
    if (steps) yield* steps;
  } catch (error) {
    const kind = reading();
    findings.push({
      code: 'IST0001',
      level: MESSAGES.IST0001.level,
      message: `The check ${analyzer.name} broke${kind ? ` while it read objects of kind ${kind}` : ''} (${messageOf(error)}), and what it would have found further is missing here. This is a defect of Sallyport: report it with the configuration. If another finding concerns an object of that kind, mending it may help.`,
      origin: { kind: kind ?? 'analysis', namespace: '', name: '' },
    });
  }
}

function compare(a: Finding, b: Finding): number {
  return (
    LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) ||
    compareText(a.position?.file ?? '', b.position?.file ?? '') ||
    (a.position?.line ?? 0) - (b.position?.line ?? 0) ||
    compareText(a.code, b.code) ||
    compareText(originText(a.origin), originText(b.origin))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function suppressions(resources: readonly Resource[], rules: readonly string[]): (finding: Finding) => boolean {
  const annotated = new Map<string, readonly string[]>();
  for (const resource of resources) {
    const codes = resource.metadata.annotations[SUPPRESS_ANNOTATION];
    if (codes !== undefined)
      annotated.set(
        resourceText(resource),
        codes.split(',').map((code) => code.trim()),
      );
  }
  const patterns = rules.map((rule) => {
    const equals = rule.indexOf('=');
    return { code: glob(rule.slice(0, equals)), origin: glob(rule.slice(equals + 1)) };
  });
  return ({ code, origin }) => {
    const text = originText(origin);
    const codes = annotated.get(text);
    return (
      (codes?.some((name) => name === '*' || name === code) ?? false) ||
      patterns.some((pattern) => pattern.code.test(code) && pattern.origin.test(text))
    );
  };
}

function glob(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.*+?^${}()|[\]\\]/g, (c) => (c === '*' ? '.*' : `\\${c}`))}$`);
}
