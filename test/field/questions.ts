/** What `analyze`, `explain` and `verify` say of one text: the questions of the command line, asked without it. */
import { withDefaultGateways } from '../../src/analysis/default-gateways.ts';
import { analyze } from '../../src/analysis/index.ts';
import type { MeshConfig } from '../../src/api/index.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { loadMeshConfig } from '../../src/config/mesh-config.ts';
import type { Snapshot } from '../../src/config/snapshot.ts';
import type { Finding } from '../../src/lib/finding.ts';
import { explain } from '../../src/prove/explain.ts';
import { gatewaysOf } from '../../src/prove/inside.ts';
import { type SimulatedFiles, simulateFiles } from '../../src/prove/simulated.ts';
import { onlyThroughGateways } from '../../src/prove/statements.ts';
import { verifyFiles } from '../../src/prove/verify.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { parseTarget } from '../../src/simulate/call.ts';
import type { Outcome } from '../../src/simulate/trace.ts';

export interface Read {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
  readonly also: readonly Finding[];
  readonly files: SimulatedFiles;
}

export function read(text: string): Read {
  const snapshot = snapshotFromText(text);
  const { config: mesh, findings: also } = loadMeshConfig(snapshot);
  return { snapshot, mesh, also, files: simulateFiles(snapshot, mesh) };
}

/** Certificates are judged on this day. */
const DAY = Date.UTC(2026, 0, 1);

export function findingsIn({ snapshot, mesh, also }: Read): Finding[] {
  const withDefaults = withDefaultGateways(snapshot, mesh.rootNamespace);
  const { registry, findings: conflicts } = buildRegistry(withDefaults, mesh);
  return analyze({ snapshot: withDefaults, registry, mesh, now: DAY }, { also: [...also, ...conflicts] });
}

/** `[METHOD] URL [--to ADDRESS] [--from NAMESPACE/NAME]`, as `explain` takes it. */
export function explained({ files }: Read, call: string): string {
  const words = call.split(' ');
  const option = (name: string) => {
    const at = words.indexOf(name);
    return at < 0 ? undefined : words.splice(at, 2)[1];
  };
  const [to, from] = [option('--to'), option('--from')];
  const [method, url] = words.length > 1 ? [words[0]!, words[1]!] : ['GET', words[0]!];
  const target = parseTarget(url, { method, headers: [], serverName: undefined, httpVersion: '1.1' });
  const { trace, ending } = explain(files, target, { ...(to && { to }), ...(from && { from }) });
  const way = trace.hops.map(({ proxy, cluster, flag }) => [proxy, cluster || 'none', flag].filter(Boolean).join(' '));
  const fails = ending && (ending.status ? `fails with ${ending.status}` : 'fails');
  return [...way, outcomeText(trace.outcome), ...(fails ? [fails] : [])].join(' > ');
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'upstream': {
      const { endpoint, host, port, payload } = outcome;
      const what = payload.tls ? `TLS ${payload.tls.serverName}`.trim() : payload.http ? 'HTTP' : 'bytes';
      return `reaches ${endpoint ? `${endpoint.ip}:${endpoint.port}` : `${host}:${port}`} in ${what}`;
    }
    case 'reply':
      return `answered ${outcome.status}`;
    case 'closed':
      return 'closed';
    case 'undecided':
      return 'undecided';
  }
}

export interface Leak {
  /** The host that was called, empty where bytes name none. */
  readonly called: string;
  /** The cluster that let the call out. */
  readonly cluster: string;
}

/** What `verify` says of calls whose traffic is captured, and by which calls it refutes that all go through gateways. */
export function verified({ files }: Read): { readonly result: string; readonly leaks: readonly Leak[] } {
  const [verdict] = verifyFiles(files, [onlyThroughGateways(gatewaysOf(files))], 100_000);
  const leaks = verdict!.counterexamples.map(({ call: { payload }, trace }) => ({
    called: (payload.http?.authority ?? payload.tls?.serverName ?? '').replace(/:\d+$/, ''),
    cluster: trace.hops.at(-1)?.cluster ?? '',
  }));
  return { result: verdict!.result, leaks };
}
