/** `sallyport diff`: which calls change their outcome between two configurations. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { decodeDocuments } from '../api/documents.ts';
import { openFiles } from '../config/files.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { callersOf } from '../prove/callers.ts';
import { located, placedText } from '../prove/origins.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { workloadClasses } from '../prove/workload-classes.ts';
import { type CallDiff, type ComparedWorkload, diffCalls } from '../simulate/diff.ts';
import { type Paint, paintFor, plain } from './colours.ts';
import { describeCall } from './describe-call.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { tellFindings } from './read-mesh.ts';

interface DiffOptions {
  readonly meshConfig?: string;
  readonly namespace: string;
  readonly failOn: 'widen' | 'any';
  readonly output: 'text' | 'json';
}

export function diffCommand(): Command {
  return new Command('diff')
    .summary('which calls change between two configurations')
    .description(
      'Compares what workloads can reach under OLD and under NEW. Either is a path, or git:REV[:PATH] for a revision of this repository.',
    )
    .argument('<old>')
    .argument('<new>')
    .option('--fail-on <change>', 'exit with 1 when access widens, or on any change', choiceOption('widen', 'any'), 'widen')
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (before: string, after: string, options: DiffOptions) => {
      const sides = [await readSide(before, options), await readSide(after, options)] as const;
      await tellFindings(sides.flatMap(({ findings }) => findings));
      const comparison = compare(sides[0].files, sides[1].files);
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(comparison, undefined, 2)}\n`
          : render(comparison, process.stdout.isTTY ? paintFor(process.stdout) : plain),
      );
      const { changes, undecided } = comparison;
      // What could not be decided may have widened.
      const fails = undecided.length > 0 || changes.some(({ kind }) => options.failOn === 'any' || kind === 'widens');
      process.exitCode = fails ? EXIT.findings : EXIT.fine;
    });
}

type SideOptions = Pick<DiffOptions, 'namespace' | 'meshConfig'>;

interface Side {
  readonly files: SimulatedFiles;
  /** About the MeshConfig. */
  readonly findings: readonly Finding[];
}

/** The mesh of a path or of `git:REV[:PATH]`. Rejects with `usage`, `git-failed`, `path-not-found`. */
async function readSide(spec: string, { namespace, meshConfig }: SideOptions): Promise<Side> {
  const snapshot = spec.startsWith('git:') ? await fromGit(spec, namespace) : await fromFiles(spec, namespace);
  const { config, findings } = loadMeshConfig(snapshot, meshConfig);
  return { files: simulateFiles(snapshot, config), findings };
}

/** A mesh to compare another with, which has the same MeshConfig unless each has its own; what is wrong with its own goes to stderr. */
export async function loadSide(spec: string, options: SideOptions): Promise<SimulatedFiles> {
  const { files, findings } = await readSide(spec, options);
  if (options.meshConfig === undefined) await tellFindings(findings);
  return files;
}

async function fromFiles(path: string, namespace: string): Promise<Snapshot> {
  const source = await openFiles([path], { namespace });
  return source.snapshot;
}

const git = promisify(execFile);

/** The resources of a revision, read from the object store: the work tree is not touched. */
async function fromGit(spec: string, namespace: string): Promise<Snapshot> {
  const [, revision, path = '.'] = /^git:([^:]+)(?::(.+))?$/.exec(spec) ?? [];
  if (revision === undefined || revision.startsWith('-'))
    throw new SallyportError('usage', `"${spec}" is no revision: write git:REV or git:REV:PATH`);
  const run = async (...args: string[]) => {
    try {
      return (await git('git', args, { maxBuffer: 1 << 28 })).stdout;
    } catch (error) {
      throw new SallyportError('git-failed', `cannot read ${spec}: ${messageOf(error).split('\n').at(-2) ?? messageOf(error)}`, {
        cause: error,
      });
    }
  };
  const store = new Store();
  const names = (await run('ls-tree', '-r', '-z', '--name-only', revision, '--', path))
    .split('\0')
    .filter((name) => /\.(ya?ml|json)$/.test(name));
  for (const name of names)
    store.set(`${revision}:${name}`, decodeDocuments(await run('show', `${revision}:./${name}`), `${revision}:${name}`, { namespace }));
  return store.snapshot();
}

export interface Comparison extends CallDiff {
  /** Workloads that are on one side only, whose calls are not compared. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * The changes of all workloads that both sides have.
 * @param options.strict also of clients that come to a gateway directly, and of what servers see of a call
 */
export function compare(before: SimulatedFiles, after: SimulatedFiles, { strict = false } = {}): Comparison {
  const nameOf = ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`;
  const sidecarsOf = ({ proxies }: SimulatedFiles) => proxies.filter(({ type }) => type === 'sidecar');
  const known = new Set(sidecarsOf(before).map(nameOf));
  const young = new Set(sidecarsOf(after).map(nameOf));
  const sidecars = sidecarsOf(after).filter((proxy) => known.has(nameOf(proxy)));
  // Those that stand for workloads that the files do not name are on both sides.
  const unnamed = [...callersOf(after), ...callersOf(before)].filter(
    (identity) => !known.has(nameOf(identity)) && !young.has(nameOf(identity)),
  );
  const callers = [...sidecars, ...new Map(unnamed.map((identity) => [nameOf(identity), identity])).values()];
  const at = (files: SimulatedFiles, identity: ProxyIdentity) =>
    young.has(nameOf(identity)) ? files.proxy(nameOf(identity)) : files.proxyOf(identity);
  // Alike on both sides: of the class of one side, the class of the other.
  const pairs: ComparedWorkload[] = workloadClasses(after.mesh, callers)
    .flatMap((members) => workloadClasses(before.mesh, members))
    .map((members) => ({ workloads: members.map(nameOf), before: at(before, members[0]!), after: at(after, members[0]!) }));
  const routersOf = ({ proxies }: SimulatedFiles) => proxies.filter(({ type }) => type === 'router').map(nameOf);
  const routers = strict ? routersOf(before).filter((name) => routersOf(after).includes(name)) : [];
  const entries = routers.map((name) => ({ workloads: [name], before: before.proxy(name), after: after.proxy(name) }));
  const { changes, undecided, cells } = diffCalls({ mesh: before.simulated }, { mesh: after.simulated }, pairs, {
    gateways: entries,
    exact: strict,
  });
  return {
    changes: changes.map((change) => ({
      ...change,
      decidedBy: change.decidedBy.map((origin) => located(origin, after.mesh.snapshot)),
    })),
    undecided,
    cells,
    added: [...young].filter((name) => !known.has(name)),
    removed: [...known].filter((name) => !young.has(name)),
  };
}

function render({ changes, undecided, added, removed }: Comparison, paint: Paint): string {
  const notes = [
    ...undecided.map((sentence) => `${paint('yellow', 'undecided')}: ${sentence}\n`),
    ...(added.length > 0 ? [`Not compared, since OLD does not have them: ${added.join(', ')}\n`] : []),
    ...(removed.length > 0 ? [`Not compared, since NEW does not have them: ${removed.join(', ')}\n`] : []),
  ].join('');
  if (changes.length === 0) return `${undecided.length > 0 ? '' : 'No call changes its outcome.\n'}${notes}`;
  const style = { widens: 'red', narrows: 'green', differs: 'yellow' } as const;
  const lines = changes
    .map(({ kind, workloads, destination, before, after, decidedBy, example }) => {
      const who = workloads.length > 3 ? `${workloads.slice(0, 3).join(', ')} and ${workloads.length - 3} more` : workloads.join(', ');
      return `${paint(style[kind], kind.padEnd(7))} ${paint('bold', who)}: a call to ${destination} ${after}; before, it ${before}${decidedBy.length > 0 ? `  [${decidedBy.map(placedText).join(', ')}]` : ''}\n        e.g. ${describeCall(example)}\n`;
    })
    .join('');
  return lines + notes;
}
