/** `sallyport verify`: statements about all calls, proved or refuted by a call that shows it. */

import { Command, InvalidArgumentError } from 'commander';
import { isInsideCluster, openEgress } from '../kube/network-policy.ts';
import { mapGrouped } from '../lib/grouped.ts';
import { callersOf } from '../prove/callers.ts';
import { locatedTrace, placedText } from '../prove/origins.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { onlyThroughGateways, readStatements } from '../prove/statements.ts';
import { unknownTo } from '../prove/unknown.ts';
import { workloadClasses } from '../prove/workload-classes.ts';
import { explainCall } from '../simulate/explain.ts';
import type { Outcome } from '../simulate/trace.ts';
import { type Statement, type Verdict, verify } from '../simulate/verify.ts';
import { type Paint, paintFor, plain } from './colours.ts';
import { describeCall } from './describe-call.ts';
import { compare, loadSide } from './diff.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { readMesh } from './read-mesh.ts';
import { expectShortRun } from './short-run.ts';

interface VerifyOptions {
  readonly statements?: string;
  readonly meshConfig?: string;
  readonly namespace: string;
  readonly clusterCidr: readonly string[];
  readonly maxCells: number;
  readonly adversary: 'captured' | 'bypassing' | 'both';
  readonly output: 'text' | 'json';
}

/** Ranges that are the cluster's own unless said otherwise: private addresses, and those of the loopback mesh of `up`. */
const CLUSTER_RANGES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8', 'fc00::/7', '::1/128'];

export function verifyCommand(): Command {
  return new Command('verify')
    .summary('prove statements about all calls')
    .description(
      'Proves by default that no workload reaches a host outside the mesh but through an egress gateway; or the statements of a file.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin')
    .option('-s, --statements <file>', 'a YAML list of statements to prove in place of the default')
    .option(
      '--adversary <kind>',
      'captured: applications whose traffic is captured; bypassing: those that go round the sidecar; or both',
      choiceOption('captured', 'bypassing', 'both'),
      'both',
    )
    .option(
      '--cluster-cidr <range>',
      "the cluster's own addresses (repeatable; by default the private ranges)",
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('--max-cells <n>', 'cells to judge before the rest counts as undecided', cellsOption, 1_000_000)
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (paths: string[], options: VerifyOptions) => {
      expectShortRun();
      const { snapshot, mesh: config } = await readMesh(paths, options);
      const verdicts = await judge(simulateFiles(snapshot, config), options);
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(verdicts, undefined, 2)}\n`
          : verdicts.map((verdict) => render(verdict, process.stdout.isTTY ? paintFor(process.stdout) : plain)).join('\n'),
      );
      process.exitCode = verdicts.every(({ result }) => result === 'proved') ? EXIT.fine : EXIT.findings;
    });
}

function cellsOption(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('it is a whole number from 1 on.');
  return Number(text);
}

/** A verdict on one adversary. */
export interface AdversaryVerdict extends Verdict {
  readonly adversary: 'captured' | 'bypassing';
  /** For the one that bypasses: what opens the way, a sentence each. */
  readonly openings: readonly string[];
}

export async function judge(files: SimulatedFiles, options: VerifyOptions): Promise<AdversaryVerdict[]> {
  const verdicts: AdversaryVerdict[] = [];
  if (options.adversary !== 'bypassing') verdicts.push(...(await captured(files, options)));
  if (options.adversary !== 'captured' && !options.statements) verdicts.push(bypassing(files, options));
  return verdicts;
}

async function captured(files: SimulatedFiles, options: VerifyOptions): Promise<AdversaryVerdict[]> {
  const { statements: file, maxCells } = options;
  const isGateway = gatewaysOf(files);
  const ranges = rangesOf(options);
  if (!file) return verifyFiles(files, [onlyThroughGateways(isGateway)], maxCells, ranges);
  const { statements, equivalentTo } = await readStatements(file, isGateway);
  const others = await Promise.all(equivalentTo.map((path) => loadSide(path, options)));
  return [...verifyFiles(files, statements, maxCells, ranges), ...others.map((other, i) => equivalence(files, other, equivalentTo[i]!))];
}

/** Whether every call of every workload has the same outcome under another configuration. */
export function equivalence(files: SimulatedFiles, other: SimulatedFiles, name: string): AdversaryVerdict {
  const { changes, undecided, added, removed, cells } = compare(other, files);
  const { mesh, simulated } = files;
  const callers = new Map([...files.proxies, ...callersOf(files), ...callersOf(other)].map((one) => [`${one.namespace}/${one.name}`, one]));
  const open = [
    ...undecided,
    ...unknownTo(files),
    ...unknownTo(other),
    ...[...added, ...removed].map((workload) => `${workload} is on one side only`),
  ];
  return {
    adversary: 'captured',
    statement: `every call has the outcome that it has under ${name}`,
    result: changes.length > 0 ? 'refuted' : open.length > 0 ? 'undecided' : 'proved',
    counterexamples: mapGrouped(
      changes,
      ({ workloads }) => workloads[0],
      ({ workloads, example }) => ({
        workloads,
        call: example,
        trace: locatedTrace(explainCall(simulated, files.proxyOf(callers.get(workloads[0]!)!), example), mesh.snapshot),
      }),
    ),
    undecided: open,
    cells,
    openings: [],
  };
}

/** Tells the routers of the files by `namespace/name`, and the clusters of Services that have no other endpoints. */
export function gatewaysOf({ proxies, mesh: { registry } }: SimulatedFiles): (name: string) => boolean {
  const routers = proxies.filter(({ type }) => type === 'router');
  const names = new Set(routers.map(({ namespace, name }) => `${namespace}/${name}`));
  const addresses = new Set(routers.flatMap((router) => router.addresses));
  const leads = (hostname: string) => {
    const services = registry.services.filter((service) => service.hostname === hostname);
    const endpoints = services.flatMap((service) => service.ports.flatMap((port) => registry.endpoints(service, port)));
    return services.length > 0 && endpoints.length > 0 && endpoints.every(({ address }) => addresses.has(address));
  };
  return (name) => names.has(name) || (name.startsWith('outbound|') && leads(name.split('|')[3] ?? ''));
}

/** Judges statements over every call that the files' sidecars take. */
export function verifyFiles(
  files: SimulatedFiles,
  statements: readonly Statement[],
  maxCells: number,
  clusterRanges: readonly string[] = CLUSTER_RANGES,
): AdversaryVerdict[] {
  const { mesh, simulated } = files;
  const classes = workloadClasses(mesh, callersOf(files)).map((members) => {
    const workloads = members.map(({ namespace, name }) => `${namespace}/${name}`);
    return { proxy: files.proxyOf(members[0]!), workloads };
  });
  const inside = insideAddresses(files, clusterRanges);
  const input = { mesh: simulated, classes, statements, isInside: (ip: string) => inside.has(ip), maxCells, unknown: unknownTo(files) };
  return verify(input).map((verdict) => ({
    ...verdict,
    counterexamples: verdict.counterexamples.map((example) => ({ ...example, trace: locatedTrace(example.trace, mesh.snapshot) })),
    adversary: 'captured',
    openings: [],
  }));
}

/**
 * Addresses of Pods, and of what the cluster's own ranges hold of WorkloadEntries, of Services and of endpoints of services inside the mesh: a ServiceEntry
 * or an EndpointSlice may say of any address in the world that it is inside.
 */
export function insideAddresses({ mesh: { registry } }: SimulatedFiles, clusterRanges: readonly string[] = CLUSTER_RANGES): Set<string> {
  const pods = registry.workloads.filter(({ kind }) => kind === 'Pod').flatMap(({ addresses }) => addresses);
  const said = new Set<string>(registry.workloads.flatMap(({ addresses }) => addresses));
  for (const service of registry.services) {
    if (service.meshExternal) continue;
    for (const address of service.addresses) said.add(address);
    for (const port of service.ports) for (const { address } of registry.endpoints(service, port)) said.add(address);
  }
  const allocated = registry.services.flatMap(({ meshExternal, autoAddresses }) => (meshExternal ? [] : autoAddresses));
  return new Set([...pods, ...allocated, ...[...said].filter((address) => isInsideCluster(address, clusterRanges))]);
}

function rangesOf({ clusterCidr }: Pick<VerifyOptions, 'clusterCidr'>): readonly string[] {
  return clusterCidr.length > 0 ? clusterCidr : CLUSTER_RANGES;
}

/** Against a workload that does not use its sidecar only NetworkPolicies count. */
function bypassing({ mesh, proxies }: SimulatedFiles, options: VerifyOptions): AdversaryVerdict {
  const policies = mesh.snapshot.list('NetworkPolicy');
  const ranges = rangesOf(options);
  const openings: string[] = [];
  const workloads = proxies.filter(({ type }) => type === 'sidecar');
  for (const { namespace, name, labels } of workloads) {
    const open = openEgress(policies, { namespace, labels }, ranges);
    if (!open || isInsideCluster(open.ip, ranges)) continue;
    const why = open.policy
      ? `NetworkPolicy ${open.policy.metadata.namespace}/${open.policy.metadata.name} allows it`
      : 'no NetworkPolicy restricts its egress';
    openings.push(`${namespace}/${name} connects to ${open.ip}${open.port ? `:${open.port}` : ', any port,'} past its sidecar: ${why}`);
  }
  return {
    adversary: 'bypassing',
    statement: 'no workload that goes round its sidecar leaves the cluster',
    result: openings.length > 0 ? 'refuted' : 'proved',
    counterexamples: [],
    undecided: [],
    cells: workloads.length,
    openings,
  };
}

const MOST_SHOWN = 10;

function render({ adversary, statement, result, counterexamples, undecided, openings, cells }: AdversaryVerdict, paint: Paint): string {
  const style = result === 'proved' ? 'green' : result === 'refuted' ? 'red' : 'yellow';
  const lines = [`${paint([style, 'bold'], result.toUpperCase())} (${adversary}, ${cells} cells): ${statement}`];
  for (const { workloads, call, trace } of counterexamples.slice(0, MOST_SHOWN)) {
    const last = trace.hops.at(-1);
    const origin = last?.steps.flatMap(({ origins }) => origins).at(-1);
    const where = outcomeOf(trace.outcome);
    lines.push(
      `  ${workloads.slice(0, 3).join(', ')}${workloads.length > 3 ? ` and ${workloads.length - 3} more` : ''}: ${describeCall(call)} ${where} at ${last?.proxy ?? 'the application'}, cluster ${last?.cluster || 'none'}${origin ? ` [${placedText(origin)}]` : ''}`,
    );
  }
  if (counterexamples.length > MOST_SHOWN) lines.push(`  … and ${counterexamples.length - MOST_SHOWN} more (--output json has them all)`);
  for (const opening of openings.slice(0, MOST_SHOWN)) lines.push(`  ${opening}`);
  if (openings.length > MOST_SHOWN) lines.push(`  … and ${openings.length - MOST_SHOWN} more`);
  if (openings.length > 0) lines.push('  sallyport netpol prints the policies that close this.');
  for (const sentence of undecided.slice(0, MOST_SHOWN)) lines.push(`  undecided: ${sentence}`);
  return `${lines.join('\n')}\n`;
}

function outcomeOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'upstream':
      return `leaves for ${outcome.host || `${outcome.endpoint?.ip}:${outcome.endpoint?.port}`}`;
    case 'reply':
      return `is answered ${outcome.status}`;
    default:
      return `is ${outcome.kind}`;
  }
}
