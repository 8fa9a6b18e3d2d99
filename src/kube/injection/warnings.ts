/** What whoever applies a pod should know: ways round its proxy, and what is asked for and not done. */
import { DNS_CAPTURE } from '../../api/dns-capture.ts';
import { IGNORED_ANNOTATIONS, PROXY_CONTAINER } from '../../api/injection.ts';
import { PROXY_ID } from './containers.ts';
import type { Container, Fields, WrittenPod } from './pod.ts';
import { asksFor, DNS_AUTO_ALLOCATE, type PodSettings } from './settings.ts';

/** Capabilities by which a container may change what is captured, or send what is not. */
const OVER_CAPTURE = ['ALL', 'NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'];

/** @param proxyUser whose traffic is the proxy's own */
export function warningsFor({ metadata, spec }: WrittenPod, settings: PodSettings, cni: boolean, proxyUser = PROXY_ID): string[] {
  const { annotations = {} } = metadata ?? {};
  const warnings = IGNORED_ANNOTATIONS.filter((name) => annotations[name] !== undefined).map(
    (name) => `the annotation ${name} has no effect`,
  );
  const { mode, capture, captureDns, native, engine, proxy } = settings;
  if (mode === 'NONE') warnings.push('interceptionMode NONE: nothing is captured, what goes out goes round the proxy');
  const containers = [...(spec.initContainers ?? []), ...spec.containers].filter(({ name }) => name !== PROXY_CONTAINER);
  const own = containers.filter((container) => userOf(container, spec) === proxyUser).map(({ name }) => name);
  if (own.length > 0)
    warnings.push(`${list(own)} as the proxy's own user (${proxyUser}): what they send is not captured. Choose another runAsUser`);
  const free = containers.filter(isOverCapture).map(({ name }) => name);
  if (mode === 'REDIRECT' && free.length > 0)
    warnings.push(`${list(free)} privileged, or with NET_ADMIN, NET_RAW or SYS_ADMIN: they can take what is captured past the proxy`);
  const early = native ? [] : (spec.initContainers ?? []).map(({ name }) => name).filter((name) => name !== PROXY_CONTAINER);
  if (mode === 'REDIRECT' && early.length > 0)
    warnings.push(
      `${list(early)} before ${cni ? 'the proxy, and captured: what they send is refused' : 'capture is up: what they send goes round the proxy'}. A native sidecar is there before them`,
    );
  const excluded = [
    ['excludeOutboundPorts', capture.excludeOutboundPorts],
    ['excludeOutboundIPRanges', capture.excludeOutboundRanges],
    ['includeOutboundIPRanges', capture.includeOutboundRanges === '*' ? '' : capture.includeOutboundRanges || 'none'],
  ].filter(([, value]) => value);
  for (const [name, value] of excluded)
    warnings.push(
      `traffic.sidecar.istio.io/${name} (${value}) leaves a way round the proxy: close it with NetworkPolicies (sallyport netpol)`,
    );
  for (const name of ['includeInboundPorts', 'excludeInboundPorts']) {
    const value = annotations[`traffic.sidecar.istio.io/${name}`];
    if (value !== undefined && (name.startsWith('include') ? value.trim() !== '*' : value.trim() !== ''))
      warnings.push(
        `traffic.sidecar.istio.io/${name} (${value || 'none'}) lets in what goes past the proxy: neither its mutual TLS nor AuthorizationPolicies hold there`,
      );
  }
  if (!captureDns)
    warnings.push(
      ...[DNS_CAPTURE, DNS_AUTO_ALLOCATE]
        .filter((name) => asksFor(name, proxy))
        .map((name) => `${name}: DNS is not captured ${mode === 'NONE' ? 'by interceptionMode NONE' : `without ${DNS_CAPTURE}`}`),
    );
  const scraped = Object.keys(annotations).some((name) => name.startsWith('prometheus.io/'));
  if (engine === 'embedded' && scraped)
    warnings.push(
      `the embedded data plane merges no metrics: the pod says where its own are, and those of the proxy are at port ${settings.statusPort}`,
    );
  return warnings;
}

function isOverCapture({ securityContext }: Container): boolean {
  const { privileged, capabilities } = (securityContext ?? {}) as Fields;
  const added = (capabilities as { readonly add?: unknown } | undefined)?.add;
  return (
    privileged === true ||
    (Array.isArray(added) && added.some((each) => OVER_CAPTURE.includes(String(each).replace(/^CAP_/i, '').toUpperCase())))
  );
}

function userOf({ securityContext }: Container, { securityContext: ofPod }: WrittenPod['spec']): unknown {
  return (securityContext as Fields | undefined)?.runAsUser ?? (ofPod as Fields | undefined)?.runAsUser;
}

function list(names: readonly string[]): string {
  return `${names.join(', ')} ${names.length === 1 ? 'runs' : 'run'}`;
}
