import type { PathStep, Resource } from '../../api/resource.ts';
import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';
import { annotationInfo, annotationNames, isIstioAnnotation, WRITTEN_BY_ISTIO } from '../istio-annotations.ts';

/** IST0107, IST0108, IST0125, IST0135 and, as a hint, IST0136: Istio's annotations on objects of Kubernetes. */
export function annotations(context: Context): void {
  for (const kind of ['Namespace', 'Service', 'Pod', 'Deployment'] as const) {
    for (const resource of context.of(kind)) check(context, resource, kind, resource.metadata, ['metadata', 'annotations']);
  }
  for (const deployment of context.of('Deployment')) {
    const { metadata } = deployment.spec.template;
    if (metadata?.annotations) {
      const { annotations, labels } = metadata;
      check(context, deployment, 'Pod', { annotations, labels: labels ?? {} }, ['spec', 'template', 'metadata', 'annotations']);
    }
  }
}

function withArticle(kind: string): string {
  return `${/^[AEIO]/.test(kind) ? 'an' : 'a'} ${kind}`;
}

interface Annotated {
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** `kind` is what the annotations belong to: a Deployment's template is of Pods. */
function check(context: Context, resource: Resource, kind: string, { annotations, labels }: Annotated, at: readonly PathStep[]): void {
  for (const [name, value] of Object.entries(annotations)) {
    if (!isIstioAnnotation(name) || WRITTEN_BY_ISTIO.has(name)) continue;
    const path = [...at, name];
    const info = annotationInfo(name);
    if (!info) {
      const near = closest(name, annotationNames());
      const mend = near ? `Did you mean ${near}?` : 'Remove it, or correct its name.';
      context.report('IST0108', resource, path, `Istio has no annotation ${name}, so it has no effect. ${mend}`);
      continue;
    }
    if (info.deprecated !== undefined && labels[name] === undefined) {
      const mend = info.deprecated ? `Use ${info.deprecated}.` : 'Remove it.';
      context.report('IST0135', resource, path, `The annotation ${name} is deprecated and may be ignored by a later release. ${mend}`);
    }
    if (info.kinds && !info.kinds.includes(kind)) {
      const where =
        kind === 'Deployment' && info.kinds.includes('Pod')
          ? 'spec.template.metadata.annotations'
          : info.kinds.map(withArticle).join(' or ');
      context.report('IST0107', resource, path, `The annotation ${name} has no effect on a ${kind}. Move it to ${where}.`);
      continue;
    }
    const problem = info.problem?.(value);
    if (problem)
      context.report('IST0125', resource, path, `The annotation ${name} is invalid, and the pod may be refused: ${problem}. Correct it.`);
    if (context.hints && info.status === 'Alpha' && info.deprecated === undefined && info.kinds)
      context.report(
        'IST0136',
        resource,
        path,
        `The annotation ${name} is of alpha maturity: it may change or vanish with a release, and what it asks for with it. Look it up in the notes of each release, or do without it.`,
      );
  }
}
