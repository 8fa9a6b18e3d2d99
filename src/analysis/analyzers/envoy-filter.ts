import type { EnvoyConfigObjectPatch, ResourceOf } from '../../api/index.ts';
import { readPatch } from '../../xds/patches/read.ts';
import type { Context } from '../context.ts';

/** Operations that place a filter relative to another one. */
const RELATIVE: ReadonlySet<string> = new Set(['INSERT_BEFORE', 'INSERT_AFTER', 'REMOVE', 'REPLACE']);
const ROUTES: ReadonlySet<string> = new Set(['ROUTE_CONFIGURATION', 'HTTP_ROUTE']);
const REPLACEABLE: ReadonlySet<string> = new Set(['NETWORK_FILTER', 'HTTP_FILTER', 'VIRTUAL_HOST']);

/** IST0133: patches that have no effect here, or not everywhere. IST0151–IST0155: operations that have no effect where they are applied, or one that hangs on what else is there. */
export function envoyFilters(context: Context): void {
  /** Filters that some earlier patch names for one version of proxies only. */
  const versioned = new Set<string>();
  for (const envoyFilter of context.of('EnvoyFilter')) {
    context.report(
      'IST0133',
      envoyFilter,
      ['metadata', 'name'],
      'EnvoyFilter patches what is made for Envoy, which may change with any release. Say the same with VirtualService, DestinationRule, Telemetry or AuthorizationPolicy where they can.',
    );
    for (const [i, patch] of envoyFilter.spec.configPatches.entries()) {
      unserved(context, envoyFilter, i);
      const operation = patch.patch?.operation;
      if (!operation) continue;
      const path = ['spec', 'configPatches', i, 'patch', 'operation'];
      if (operation === 'REPLACE' && !REPLACEABLE.has(patch.applyTo)) {
        context.report(
          'IST0152',
          envoyFilter,
          path,
          `REPLACE works on HTTP_FILTER, NETWORK_FILTER and VIRTUAL_HOST, and this patch is for ${patch.applyTo}: it has no effect. Use MERGE, or REMOVE and ADD.`,
        );
      } else if ((operation === 'ADD' || operation === 'REMOVE') && ROUTES.has(patch.applyTo)) {
        const instead =
          operation === 'ADD' ? 'INSERT_FIRST, INSERT_BEFORE or INSERT_AFTER for routes, MERGE for their configuration' : 'MERGE';
        context.report(
          operation === 'ADD' ? 'IST0153' : 'IST0154',
          envoyFilter,
          path,
          `${operation} has no effect on ${patch.applyTo}. Use ${instead}.`,
        );
      } else if (RELATIVE.has(operation) && envoyFilter.spec.priority === 0) {
        relative(context, envoyFilter, path, operation, versioned.has(filterOf(patch)));
      }
      if (patch.match?.proxy?.proxyVersion) versioned.add(filterOf(patch));
    }
  }
}

/** What of a patch is not applied here, or not by every engine, or not known to simulation. */
function unserved(context: Context, envoyFilter: ResourceOf<'EnvoyFilter'>, index: number): void {
  const report = (message: string) => context.report('IST0133', envoyFilter, ['spec', 'configPatches', index], message);
  const reading = readPatch(envoyFilter.spec.configPatches[index]!);
  if (reading.kind !== 'applied') {
    report(`This patch has no effect here: ${reading.why}.`);
    return;
  }
  const { foreign, unsimulated } = reading.value;
  if (foreign.length > 0)
    report(
      `${foreign.join(', ')}: Envoy has what is written here and the embedded data plane does not, which refuses what it is put into (calls are closed). What it does is not simulated: explain passes over it, and verify leaves open what it may decide.`,
    );
  if (unsimulated.length > 0)
    report(`What ${unsimulated.join(', ')} does is not simulated: explain passes over it, and verify leaves open what it may decide.`);
}

/** The name of the filter that the patch brings, or of the one that it is placed by. */
function filterOf({ match, patch }: EnvoyConfigObjectPatch): string {
  const name = patch?.value?.name;
  return typeof name === 'string' ? name : (match?.listener?.filterChain?.filter?.name ?? '');
}

function relative(
  context: Context,
  envoyFilter: ResourceOf<'EnvoyFilter'>,
  path: readonly (string | number)[],
  operation: string,
  versioned: boolean,
): void {
  if (versioned) {
    context.report(
      'IST0155',
      envoyFilter,
      path,
      `${operation} depends on a filter that an earlier patch brings for one proxyVersion only: with other proxies this patch finds nothing and is dropped. Set a priority on both EnvoyFilters, and drop the version.`,
    );
  } else {
    context.report(
      'IST0151',
      envoyFilter,
      path,
      `${operation} depends on the filters that are there when it is applied, and without a priority the order among EnvoyFilters is by age: it may find nothing. Set spec.priority, or use INSERT_FIRST or ADD.`,
    );
  }
}
