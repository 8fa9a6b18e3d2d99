import type { ResourceOf } from '../../api/index.ts';
import type { Context } from '../context.ts';

/** SP1010: tracing by providers to which no spans are sent. IST0157: Telemetry without a provider, where the mesh has no default one. */
export function telemetryProviders(context: Context): void {
  const defaults = context.mesh.defaultProviders;
  for (const telemetry of context.of('Telemetry')) {
    for (const [i, tracing] of telemetry.spec.tracing.entries()) {
      // What turns something off asks for nothing that is missing here.
      const problem = tracing.disableSpanReporting
        ? undefined
        : spansProblem(context, tracing.providers[0]?.name ?? defaults?.tracing?.[0]);
      if (problem !== undefined) context.report('SP1010', telemetry, ['spec', 'tracing', i], problem);
      if (tracing.providers.length === 0 && !defaults?.tracing?.length && !tracing.disableSpanReporting) {
        context.report(
          'IST0157',
          telemetry,
          ['spec', 'tracing', i],
          'The Telemetry names no tracing provider and the mesh has no default one: no span is reported. Name one of the mesh’s extensionProviders.',
        );
      }
    }
    for (const [i, logging] of telemetry.spec.accessLogging.entries()) {
      if (logging.providers.length > 0 || defaults?.accessLogging?.length || context.mesh.accessLogFile || logging.disabled) continue;
      if (inheritsLogs(context, telemetry, i)) continue;
      context.report(
        'IST0157',
        telemetry,
        ['spec', 'accessLogging', i],
        'The Telemetry names no access log provider and the mesh has no default one: nothing is logged. Name one, e.g. envoy.',
      );
    }
  }
}

/** Why a provider gets no spans, and what to do; undefined where it gets them, or is none that the mesh has. */
function spansProblem({ mesh }: Context, name: string | undefined): string | undefined {
  const provider = mesh.extensionProviders.find((each) => each.name.toLowerCase() === name?.toLowerCase());
  if (!provider || (provider.opentelemetry && !provider.opentelemetry.dynatraceSampler)) return undefined;
  const why = provider.opentelemetry ? 'has a sampler of Dynatrace' : 'is none of type opentelemetry';
  return `The tracing provider ${provider.name} ${why}: Sallyport’s proxies send it no spans. Use an extensionProvider of type opentelemetry, which most collectors take.`;
}

/** Whether the entry is for the providers that one before it, or a Telemetry for more workloads, names. */
function inheritsLogs(context: Context, { metadata, spec }: ResourceOf<'Telemetry'>, index: number): boolean {
  const names = (entries: ResourceOf<'Telemetry'>['spec']['accessLogging']) => entries.some(({ providers }) => providers.length > 0);
  const { rootNamespace } = context.mesh;
  const wider = context
    .of('Telemetry')
    .filter(
      (other) => !other.spec.selector && (other.metadata.namespace === rootNamespace || other.metadata.namespace === metadata.namespace),
    );
  return names(spec.accessLogging.slice(0, index)) || wider.some((other) => other.spec !== spec && names(other.spec.accessLogging));
}
