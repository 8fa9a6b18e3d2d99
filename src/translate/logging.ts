/** Which access logs a proxy writes, and what it counts: Telemetry of the root namespace, then of its own, then of its labels; without any, as MeshConfig says. */

import type { ExtensionProvider } from '../api/extension-provider.ts';
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import { originOf, resourceText } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { logFilter } from '../xds/log-filter.ts';
import { type Counting, countingOf, EVERYTHING, isEverything } from './counting.ts';
import { type LogService, logService } from './log-services.ts';
import type { LogMode, Mesh } from './model.ts';
import type { Scope } from './scope.ts';
import { applicableTelemetry } from './telemetry.ts';
import type { Tracing } from './tracing.ts';

type Telemetry = ResourceOf<'Telemetry'>;
type Entry = Telemetry['spec']['accessLogging'][number];

export type FileLog = NonNullable<ExtensionProvider['envoyFileAccessLog']>;

export interface ChosenLog {
  readonly to: { readonly file: FileLog; readonly service?: undefined } | { readonly service: LogService };
  /** One that is understood. */
  readonly expression: string | undefined;
}

/** With what Telemetry says of one proxy. It stands in the configuration, so that what is kept by that is kept by this. */
export interface LoggedConfig extends MeshConfig {
  /** Absent where nothing is said; an empty list is no log. */
  readonly logging?: Readonly<Record<LogMode, readonly ChosenLog[] | undefined>>;
  /** What access loggers count; absent where there is no need of any. */
  readonly counting?: { readonly by: 'envoy' | 'embedded'; readonly modes: Readonly<Record<LogMode, Counting>> };
  /** Absent where nothing is said of it. */
  readonly tracing?: Tracing;
}

/** @param scopeOf what the proxy sees, asked for where logs go to a service */
export function loggedConfig(proxy: ProxyIdentity, mesh: Mesh, scopeOf: () => Scope, report: (finding: Finding) => void): LoggedConfig {
  const { config, snapshot } = mesh;
  const all = applicableTelemetry(proxy, snapshot.list('Telemetry'), config.rootNamespace);
  const counting = countingAt(proxy, all, config, report);
  const counted: LoggedConfig = counting ? { ...config, counting } : config;
  const layers = all.filter(({ spec }) => spec.accessLogging.length > 0);
  if (layers.length === 0 && !config.defaultProviders?.accessLogging?.length) {
    if (config.enableEnvoyAccessLogService) report(without(undefined, NO_SERVICE_OF_OLD));
    return counted;
  }
  const of = (mode: LogMode) => chosenLogs(layers, mode, { mesh, scopeOf, report });
  return { ...counted, logging: { CLIENT: of('CLIENT'), SERVER: of('SERVER') } };
}

/** The embedded data plane counts by itself, and has to be told of changes alone. */
function countingAt(
  proxy: ProxyIdentity,
  all: readonly Telemetry[],
  config: MeshConfig,
  report: (finding: Finding) => void,
): LoggedConfig['counting'] {
  const layers = all.filter(({ spec }) => spec.metrics.length > 0);
  const { countsBy: by } = proxy;
  if (layers.length === 0) return by === 'envoy' ? { by, modes: { CLIENT: EVERYTHING, SERVER: EVERYTHING } } : undefined;
  const of = (mode: LogMode) => countingOf(layers, config, mode, (origin, what) => report(without(origin, what)));
  const modes = { CLIENT: of('CLIENT'), SERVER: of('SERVER') };
  return by === undefined || (by === 'embedded' && isEverything(modes.CLIENT) && isEverything(modes.SERVER)) ? undefined : { by, modes };
}

const NO_SERVICE_OF_OLD =
  'sets enableEnvoyAccessLogService, which has no effect here. Name an extensionProvider of type envoyHttpAls or envoyTcpAls in defaultProviders.accessLogging or in a Telemetry';

interface Choosing {
  readonly mesh: Mesh;
  readonly scopeOf: () => Scope;
  readonly report: (finding: Finding) => void;
}

interface Choice {
  readonly disabled: boolean;
  readonly entry: Entry | undefined;
  readonly by: Telemetry | undefined;
}

/** As Istio merges: a narrower object that names providers replaces those before it; one that names none speaks of theirs. Undefined where nothing is left. */
function chosenLogs(layers: readonly Telemetry[], mode: LogMode, { mesh, scopeOf, report }: Choosing): readonly ChosenLog[] | undefined {
  const { config } = mesh;
  const matches = ({ match }: Entry) => !match || match.mode === 'CLIENT_AND_SERVER' || match.mode === mode;
  const defaults: readonly string[] = config.defaultProviders?.accessLogging ?? [];
  let inScope = defaults;
  const filters = new Map<string, Choice>();
  for (const by of layers) {
    const entries = by.spec.accessLogging.filter(matches);
    const names = entries.flatMap((entry) => entry.providers.map(({ name }) => ({ name, entry })));
    for (const { name, entry } of names) filters.set(name, { disabled: false, entry, by });
    if (names.length > 0) inScope = names.map(({ name }) => name);
  }
  const chosen = new Map<string, Choice>();
  if (layers.length === 0) for (const name of defaults) chosen.set(name, { disabled: false, entry: undefined, by: undefined });
  let parents = defaults;
  for (const by of layers) {
    for (const entry of by.spec.accessLogging) {
      if (entry.providers.length > 0) parents = entry.providers.map(({ name }) => name);
      if (!matches(entry)) continue;
      for (const name of parents) {
        if (!inScope.includes(name)) continue;
        chosen.set(name, entry.disabled ? { disabled: true, entry, by } : (filters.get(name) ?? { disabled: false, entry: undefined, by }));
      }
    }
  }
  const logs: ChosenLog[] = [];
  let known = false;
  for (const [name, { disabled, entry, by }] of [...chosen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // What names the provider may be a wider object than the one that speaks of it last.
    const names = ({ spec }: Telemetry) => spec.accessLogging.some((each) => each.providers.some((provider) => provider.name === name));
    const origin = layers.findLast(names) ?? by;
    const tell = (what: string) => report(without(origin, what));
    const provider = providerOf(config, name);
    const file = provider?.envoyFileAccessLog;
    const service = provider && !file && !disabled ? logService(provider, mesh, scopeOf()) : undefined;
    if (!provider) tell(`names access log provider ${name}, which extensionProviders of the MeshConfig do not have: it logs nothing`);
    else if (typeof service === 'string') {
      known = true;
      tell(`names access log provider ${name}, which can't be reached: ${service}. Nothing is sent there`);
    } else if (!file && !service && !disabled)
      tell(`names provider ${name}, which is no envoyFileAccessLog, envoyHttpAls or envoyTcpAls: it gets nothing`);
    else {
      known = true;
      if (disabled) continue;
      const expression = entry?.filter?.expression;
      const understood = expression === undefined || logFilter(expression) !== undefined;
      if (!understood) tell(`filters its access log by "${expression}", which is not understood here: everything is logged`);
      logs.push({ to: service ? { service } : { file: file! }, expression: understood ? expression : undefined });
    }
  }
  return known ? logs : undefined;
}

/** Istio's default MeshConfig has this provider. */
const ENVOY: ExtensionProvider = { name: 'envoy', envoyFileAccessLog: { path: '/dev/stdout' } };

function providerOf({ extensionProviders }: MeshConfig, wanted: string): ExtensionProvider | undefined {
  const name = wanted.toLowerCase();
  const found = extensionProviders.find((each) => each.name.toLowerCase() === name);
  return found ?? (name === 'envoy' ? ENVOY : undefined);
}

/** @param by undefined: what MeshConfig says */
function without(by: Telemetry | undefined, what: string): Finding {
  if (!by)
    return { code: 'SP1010', level: 'Warning', message: `MeshConfig ${what}.`, origin: { kind: 'MeshConfig', namespace: '', name: '' } };
  const message = `${resourceText(by)} ${what}.`;
  return { code: 'SP1010', level: 'Warning', message, origin: originOf(by), position: by.source.position() };
}
