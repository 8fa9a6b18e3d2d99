/** `sallyport convert`: Istio's egress resources as objects of the Kubernetes Gateway API, proved to do the same. */
import { Command } from 'commander';
import type { MeshConfig } from '../api/index.ts';
import { type Resource, resourceText } from '../api/resource.ts';
import { snapshotFromText } from '../config/memory.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import { convert, type Replacement, type Unexpressed } from '../convert/index.ts';
import { SallyportError } from '../lib/errors.ts';
import { formatPosition } from '../lib/finding.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { IN_FORCE } from '../prove/unknown.ts';
import type { CallDiff } from '../simulate/diff.ts';
import { type Documents, isObject, keyOf, readDocuments, type WrittenDocument, type WrittenObject } from './convert-documents.ts';
import { describeCall } from './describe-call.ts';
import { compare } from './diff.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { tellFindings } from './read-mesh.ts';

interface ConvertOptions {
  readonly to: 'gateway-api';
  readonly namespace: string;
  readonly meshConfig?: string;
}

export function convertCommand(): Command {
  return new Command('convert')
    .summary('Istio’s resources as Kubernetes Gateway API, proved to do the same')
    .description(
      'Prints the whole configuration with Gateways and VirtualServices as objects of the Kubernetes Gateway API. What that cannot express is listed on stderr and stays as it is. ' +
        'Then every call is made against both configurations by simulation: the exit code is 1 if one ends differently, and the call is shown.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin')
    .option('--to <api>', 'what to convert to', choiceOption('gateway-api'), 'gateway-api')
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .action(async (paths: string[], options: ConvertOptions) => {
      const { snapshot, documents } = await readDocuments(paths, options.namespace);
      const broken = snapshot.findings.filter(({ level, code }) => level === 'Error' && !IN_FORCE.has(code));
      if (broken.length > 0) {
        await tellFindings(broken);
        throw new SallyportError('invalid-input', 'what is invalid is not in force and can’t be converted: mend it first');
      }
      const { config, findings } = loadMeshConfig(snapshot, options.meshConfig);
      await tellFindings(findings);
      const { text, unexpressed, converted, difference } = await convertDocuments({ snapshot, documents }, config, options.namespace);
      process.stdout.write(text);
      process.stderr.write(unexpressed.map((each) => `${describe(each)}\n`).join(''));
      process.stderr.write(difference ? verdict(difference, converted) : 'sallyport: nothing was converted: the output is the input\n');
      process.exitCode = difference && difference.changes.length + difference.undecided.length > 0 ? EXIT.findings : EXIT.fine;
    });
}

export interface Converted {
  /** The whole configuration. */
  readonly text: string;
  readonly unexpressed: readonly Unexpressed[];
  /** How many objects were converted, whole or in part. */
  readonly converted: number;
  /** Between input and output; undefined where they are the same. */
  readonly difference: CallDiff | undefined;
}

export async function convertDocuments({ snapshot, documents }: Documents, config: MeshConfig, namespace: string): Promise<Converted> {
  const before = simulateFiles(snapshot, config);
  const { replacements, unexpressed } = convert({ snapshot, registry: before.mesh.registry });
  const text = await printed(documents, replacements);
  if (replacements.length === 0) return { text, unexpressed, converted: 0, difference: undefined };
  const after = simulateFiles(snapshotFromText(text, { namespace, file: 'the converted configuration' }), config);
  return { text, unexpressed, converted: replacements.length, difference: compare(before, after, { strict: true }) };
}

function describe({ resource, path, reason }: Unexpressed): string {
  return `${formatPosition(resource.source.position(path))}: ${resourceText(resource)} stays: ${path.length > 1 ? `${path.slice(1).join('.')}: ` : ''}${reason}`;
}

function verdict({ changes, undecided, cells }: CallDiff, converted: number): string {
  if (changes.length > 0) {
    const lines = changes.map(
      ({ workloads, destination, before, after, example }) =>
        `sallyport: ${workloads.join(', ')}: a call to ${destination} ${after}; before, it ${before}. For example: ${describeCall(example)}\n`,
    );
    return `${lines.join('')}sallyport: refuted: the converted configuration does not do the same\n`;
  }
  if (undecided.length > 0)
    return `${undecided.map((sentence) => `sallyport: undecided: ${sentence}\n`).join('')}sallyport: not proved, although none of ${cells} calls changes its outcome\n`;
  return `sallyport: proved: no call changes its outcome (${converted} objects converted, ${cells} calls compared)\n`;
}

/** The whole configuration: documents that nothing is converted of as they were written. */
async function printed(documents: readonly WrittenDocument[], replacements: readonly Replacement[]): Promise<string> {
  const { stringify } = await import('yaml');
  const byKey = new Map(replacements.map((each) => [keyOf(each.resource), each]));
  const parts = documents.flatMap(({ text, objects, list }) => {
    const touched = objects.some(({ key }) => key !== undefined && byKey.has(key));
    if (!touched) return [`${text.replace(/^[ \t]*\r?\n/, '').trimEnd()}\n`];
    const values = objects.flatMap((object) => replaced(object, byKey.get(object.key ?? '')));
    const lead = list ? '' : leadingComments(text);
    return values.map((value, index) => `${index === 0 ? lead : ''}${stringify(value, { lineWidth: 0 })}`);
  });
  return parts.join('---\n');
}

/** Comments above a document that speak of it, whatever its form. */
function leadingComments(text: string): string {
  return (/^\s*((?:#.*\r?\n)*)/.exec(text)?.[1] ?? '').replace(/\r/g, '');
}

function replaced({ value }: WrittenObject, replacement: Replacement | undefined): object[] {
  if (!replacement) return [value];
  const { made, stays, resource } = replacement;
  return [...made, ...(stays.length > 0 ? [remaining(value, stays, resource)] : [])];
}

type Written = Readonly<Record<string, unknown>>;

/** A VirtualService with what concerns the gateways for which it stays. */
function remaining(value: Written, stays: readonly string[], { metadata }: Resource): object {
  const spec = isObject(value.spec) ? value.spec : {};
  const full = (name: unknown) => (name === 'mesh' || String(name).includes('/') ? String(name) : `${metadata.namespace}/${String(name)}`);
  const keeps = (names: unknown) => (Array.isArray(names) ? names : ['mesh']).filter((name) => stays.includes(full(name)));
  const rules = (list: unknown) =>
    (Array.isArray(list) ? (list as Written[]) : []).flatMap((rule) => {
      if (!Array.isArray(rule.match) || rule.match.length === 0) return [rule];
      const match = (rule.match as Written[]).flatMap((each) => {
        if (!Array.isArray(each.gateways) || each.gateways.length === 0) return [each];
        const gateways = keeps(each.gateways);
        return gateways.length > 0 ? [{ ...each, gateways }] : [];
      });
      return match.length > 0 ? [{ ...rule, match }] : [];
    });
  const kept = Object.fromEntries(
    (['http', 'tls', 'tcp'] as const).flatMap((kind) => {
      const list = rules(spec[kind]);
      return list.length > 0 ? [[kind, list]] : [];
    }),
  );
  const { http: _http, tls: _tls, tcp: _tcp, ...rest } = spec;
  return { ...value, spec: { ...rest, gateways: keeps(spec.gateways), ...kept } };
}
