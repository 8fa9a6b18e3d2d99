import type { Pod, ResourceOf } from '../../api/index.ts';
import { withoutSidecar } from '../../api/injection.ts';
import type { Metadata, PathStep, Resource } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import type { Context } from '../context.ts';

type Annotations = Metadata['annotations'];

const TRAFFIC = 'traffic.sidecar.istio.io/';

/** The annotations by which a sidecar does not get all calls, and what they leave to it. */
const LEFT_OUT: readonly { readonly name: string; readonly says: (value: string) => string | undefined }[] = [
  { name: `${TRAFFIC}excludeOutboundPorts`, says: (value) => value && `calls to port ${value} go past the sidecar` },
  { name: `${TRAFFIC}excludeOutboundIPRanges`, says: (value) => value && `calls to ${value} go past the sidecar` },
  {
    name: `${TRAFFIC}includeOutboundIPRanges`,
    says: (value) => (value === '*' ? undefined : `calls to all but ${value || 'nothing'} go past the sidecar`),
  },
  { name: 'sidecar.istio.io/interceptionMode', says: (value) => (value === 'NONE' ? 'no call is led to the sidecar' : undefined) },
];

/** SP1065: workloads that keep a part of their calls from their sidecar. */
export function uncapturedTraffic(context: Context): void {
  const deployments = context.of('Deployment');
  for (const deployment of deployments) {
    const { metadata, spec } = deployment.spec.template;
    const { labels = {}, annotations = {} } = metadata ?? {};
    check(context, deployment, { labels, annotations, pod: spec }, ['spec', 'template', 'metadata', 'annotations']);
  }
  for (const pod of context.of('Pod')) {
    // Of pods that come of a Deployment it is said there; few pods say anything.
    if (
      LEFT_OUT.every(({ name }) => pod.metadata.annotations[name] === undefined) ||
      deployments.some((deployment) => makes(deployment, pod))
    )
      continue;
    check(context, pod, { ...pod.metadata, pod: pod.spec }, ['metadata', 'annotations']);
  }
}

function makes({ metadata, spec }: ResourceOf<'Deployment'>, pod: ResourceOf<'Pod'>): boolean {
  return metadata.namespace === pod.metadata.namespace && matchesLabels(spec.template.metadata?.labels ?? { '': '' }, pod.metadata.labels);
}

interface Workload {
  readonly labels: Metadata['labels'];
  readonly annotations: Annotations;
  readonly pod: Pod | undefined;
}

function check(context: Context, resource: Resource, workload: Workload, path: readonly PathStep[]): void {
  const namespace = context.find('Namespace', '', resource.metadata.namespace);
  if (withoutSidecar({ ...workload, namespace }) !== undefined) return;
  for (const { name, says } of LEFT_OUT) {
    const value = workload.annotations[name]?.trim();
    const effect = value === undefined ? undefined : says(value);
    if (!effect) continue;
    context.report(
      'SP1065',
      resource,
      [...path, name],
      `By this annotation ${effect}: past every route, gateway and policy, whatever outboundTrafficPolicy says. NetworkPolicies alone hold them. To have them held take it out, and declare with ServiceEntries what is called.`,
    );
  }
}
