/** An object of a file as the cluster would hold it. */
import type { Kind, ResourceOf } from '../../api/index.ts';
import { sameContent } from '../../lib/same.ts';

/** Fields that the API server gives a Service which does not say them. */
const GIVEN_TO_SERVICES = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'healthCheckNodePort'] as const;

/** The label that every namespace has. */
const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

/** @param there the object of the same name that the cluster has, valid or not */
export function applied(written: ResourceOf<Kind>, there: ResourceOf<Kind> | undefined): ResourceOf<Kind> {
  const { creationTimestamp, generation } = there?.metadata ?? {};
  const metadata = {
    ...written.metadata,
    ...(written.kind === 'Namespace' && { labels: { ...written.metadata.labels, [NAMESPACE_NAME]: written.metadata.name } }),
    ...(creationTimestamp !== undefined && { creationTimestamp }),
    ...(generation !== undefined && { generation }),
  };
  const status = there?.status ?? written.status;
  return { ...written, metadata, ...(status !== undefined && { status }), spec: given(written, there) } as ResourceOf<Kind>;
}

function given(written: ResourceOf<Kind>, there: ResourceOf<Kind> | undefined): unknown {
  if (written.kind !== 'Service' || there?.kind !== 'Service') return written.spec;
  const before: Readonly<Record<string, unknown>> = there.spec;
  const spec: Record<string, unknown> = { ...written.spec };
  for (const field of GIVEN_TO_SERVICES) {
    const said = spec[field];
    if (said === undefined || (Array.isArray(said) && said.length === 0)) spec[field] = before[field];
  }
  return spec;
}

/** Whether a Deployment gets pods that differ in what the mesh goes by. */
export function rollsOut({ spec: { template } }: ResourceOf<'Deployment'>, there: ResourceOf<Kind> | undefined): boolean {
  if (there?.kind !== 'Deployment') return true;
  const before = there.spec.template;
  return (
    !sameContent(sorted(template.metadata?.labels), sorted(before.metadata?.labels)) ||
    (template.spec?.serviceAccountName ?? '') !== (before.spec?.serviceAccountName ?? '') ||
    (template.spec?.hostNetwork ?? false) !== (before.spec?.hostNetwork ?? false)
  );
}

function sorted(labels: Readonly<Record<string, string>> = {}): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
