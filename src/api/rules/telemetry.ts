import type { Rules } from '../kind.ts';
import type { Telemetry } from '../telemetry.ts';
import { targetsOf } from './targets.ts';

export const telemetryRules: Rules<Telemetry> = ({ spec }, report) => {
  targetsOf(spec, report);
  if (spec.tracing.length > 1) report({ path: ['spec', 'tracing', 1], level: 'Warning', message: 'only the first entry has an effect' });
  spec.tracing.forEach((tracing, index) => {
    const path = ['spec', 'tracing', index];
    if (tracing.providers.length > 1)
      report({ path: [...path, 'providers', 1], level: 'Warning', message: 'only the first provider has an effect' });
    if ('' in tracing.customTags) report({ path: [...path, 'customTags', ''], at: 'key', message: 'the name of a tag must not be empty' });
  });
  spec.accessLogging.forEach(({ filter }, index) => {
    if (filter && !filter.expression?.trim())
      report({ path: ['spec', 'accessLogging', index, 'filter'], message: 'needs an expression, e.g. response.code >= 400' });
  });
  spec.metrics.forEach((metrics, index) => {
    metrics.overrides.forEach((override, at) => {
      for (const name in override.tagOverrides) {
        const { operation, value } = override.tagOverrides[name]!;
        const path = ['spec', 'metrics', index, 'overrides', at, 'tagOverrides', name];
        if (operation === 'UPSERT' && !value) report({ path, message: 'operation UPSERT needs a value' });
        if (operation === 'REMOVE' && value)
          report({ path: [...path, 'value'], at: 'key', message: 'must not stand beside operation REMOVE' });
      }
    });
  });
};
