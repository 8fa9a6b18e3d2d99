/** What an installation of Istio finds in a cluster: its version of Kubernetes, and the CRDs of the Gateway API. */

import { GATEWAY_API } from '../../api/gateway-api/common.ts';
import type { NodeStatus, ResourceOf } from '../../api/index.ts';
import { table } from '../../lib/table.ts';
import type { Context } from '../context.ts';

/** The oldest minor version of Kubernetes 1 that Istio's release supports. */
const OLDEST_MINOR = 32;

/** IST0142: a cluster whose Kubernetes is older than Istio supports. The API server is as new as the newest of its nodes, or newer. */
export function kubernetesVersion(context: Context): void {
  let newest: { readonly node: ResourceOf<'Node'>; readonly minor: number; readonly written: string } | undefined;
  for (const node of context.of('Node')) {
    const written = (node.status as NodeStatus | undefined)?.nodeInfo?.kubeletVersion ?? '';
    const minor = Number(/^v?1\.(\d+)/.exec(written)?.[1] ?? Number.NaN);
    if (minor > (newest?.minor ?? -1)) newest = { node, minor, written };
  }
  if (!newest || newest.minor >= OLDEST_MINOR) return;
  context.report(
    'IST0142',
    newest.node,
    ['status', 'nodeInfo', 'kubeletVersion'],
    `The newest node of the cluster runs Kubernetes ${newest.written}, and Istio's release needs 1.${OLDEST_MINOR} at least: its control plane may not start, or miss what it asks the API server for. Upgrade the cluster (or its nodes, if the API server is newer), or install a release of Istio that supports 1.${newest.minor}.`,
  );
}

/** Versions of the Gateway API's kinds: without `v1beta1` Istio reads none of their objects, and without `v1` a later release will not. */
const BETA: ReadonlySet<string> = new Set(['Gateway', 'GatewayClass', 'HTTPRoute', 'ReferenceGrant']);
const STABLE: ReadonlySet<string> = new Set(['Gateway', 'GatewayClass', 'HTTPRoute', 'GRPCRoute']);

/** IST0156, IST0172: CRDs of the Gateway API that lack the versions of it that Istio reads, now or later. */
export function gatewayApiServed(context: Context): void {
  for (const definition of context.of('CustomResourceDefinition')) {
    const { group, names, versions } = definition.spec;
    const kind = names?.kind ?? '';
    // A definition without versions was shortened by hand and proves nothing.
    if (group !== GATEWAY_API || versions.length === 0) continue;
    const served = versions.filter((version) => version.served).map(({ name }) => name);
    const has = `The API server answers ${kind}s in the versions ${served.sort().join(', ') || '(none)'}`;
    if (BETA.has(kind) && !served.includes('v1beta1')) {
      context.report(
        'IST0156',
        definition,
        ['spec', 'versions'],
        `${has}, and Istio asks for v1beta1: it sees no ${kind}, and what they were to route is not routed. Install the CRDs of the Gateway API's standard channel of a later release.`,
      );
    }
    if (STABLE.has(kind) && !served.includes('v1')) {
      context.report(
        'IST0172',
        definition,
        ['spec', 'versions'],
        `${has}, and later releases of Istio ask for v1: after the next upgrade they see no ${kind}. Install the CRDs of the Gateway API's standard channel of a later release first.`,
      );
    }
  }
}

/** The bundle of the Gateway API from which on Istio reads a kind, by the name of its CRD: major, minor, patch. */
const OLDEST_BUNDLES: Readonly<Record<string, readonly [number, number, number]>> = table({
  'grpcroutes.gateway.networking.k8s.io': [1, 1, 0],
  'backendtlspolicies.gateway.networking.k8s.io': [1, 4, 0],
  'tlsroutes.gateway.networking.k8s.io': [1, 5, 0],
});

const BUNDLE_VERSION = 'gateway.networking.k8s.io/bundle-version';

/** IST0176: CRDs of the Gateway API that are older than Istio's release needs. */
export function gatewayApiVersions(context: Context): void {
  for (const definition of context.of('CustomResourceDefinition')) {
    const { name, annotations } = definition.metadata;
    const oldest = OLDEST_BUNDLES[name];
    const written = annotations[BUNDLE_VERSION];
    const version = /^v?(\d+)\.(\d+)\.(\d+)/.exec(written ?? '');
    if (!oldest || !version) continue;
    const installed = version.slice(1, 4).map(Number);
    // 0.0.0 is what builds between releases are named.
    if (installed.every((part) => part === 0)) continue;
    const differing = oldest.findIndex((part, i) => part !== installed[i]);
    if (differing < 0 || installed[differing]! > oldest[differing]!) continue;
    context.report(
      'IST0176',
      definition,
      ['metadata', 'annotations', BUNDLE_VERSION],
      `${name} is of Gateway API ${written}, and Istio reads it from v${oldest.join('.')} on: its objects are ignored. Install the CRDs of a later release.`,
    );
  }
}
