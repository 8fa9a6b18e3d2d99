/** `sallyport explain`: where one call goes, hop by hop, and which resource decided. */

import { Command } from 'commander';
import { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type Advice, adviseOn } from '../prove/advice.ts';
import type { DumpedMesh } from '../prove/dumped.ts';
import { type Ending, endingOf } from '../prove/ending.ts';
import { locatedTrace, placedText } from '../prove/origins.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { type CallTarget, parseTarget } from '../simulate/call.ts';
import { copiesOf, explainCall, type SimulatedMesh } from '../simulate/explain.ts';
import type { SimulatedProxy } from '../simulate/proxy.ts';
import type { SeenResponse } from '../simulate/response.ts';
import type { Outcome, Step, Trace } from '../simulate/trace.ts';
import { type Paint, paintFor, plain } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { readMesh } from './read-mesh.ts';
import { expectShortRun } from './short-run.ts';

interface ExplainOptions {
  readonly file: readonly string[];
  readonly configDump: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly header: readonly string[];
  readonly sni?: string;
  readonly httpVersion: '1.0' | '1.1' | '2';
  readonly meshConfig?: string;
  readonly namespace: string;
  readonly output: 'text' | 'json';
}

export function explainCommand(): Command {
  return new Command('explain')
    .summary('where a call goes, and which resource decided')
    .description(
      'Explains one call over a configuration: [METHOD] URL, where URL is http://…, https://…, tls://host:port or tcp://address:port.',
    )
    .argument('<call...>', "e.g. GET 'https://api.example.com/v1?x=1'")
    .option('-f, --file <path>', 'files and folders with the configuration (repeatable)', collect, [])
    .option(
      '--config-dump <file>',
      'in place of files, the config dump of a proxy: `/config_dump?include_eds` of its admin address (repeatable: sidecar and gateway)',
      collect,
      [],
    )
    .option(
      '--from <namespace/name>',
      'the workload that calls, or a gateway that the call has come to, or plain for one without a sidecar; by default the only workload with a sidecar',
    )
    .option('--to <address>', 'the address that the client resolved the name to itself')
    .option('-H, --header <header>', "a request header 'name: value' (repeatable)", collect, [])
    .option('--sni <name>', "TLS server name, if not the URL's host")
    .option('--http-version <version>', '1.0, 1.1 or 2', choiceOption('1.0', '1.1', '2'), '1.1')
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (words: string[], options: ExplainOptions) => {
      expectShortRun();
      const target = targetOf(words, options);
      const explanation = await explained(target, options);
      const text =
        options.output === 'json'
          ? `${JSON.stringify(explanation, undefined, 2)}\n`
          : render(explanation, process.stdout.isTTY ? paintFor(process.stdout) : plain);
      process.stdout.write(text);
      process.exitCode = explanation.trace.outcome.kind === 'upstream' && !explanation.ending ? EXIT.fine : EXIT.findings;
    });
}

async function explained(target: CallTarget, options: ExplainOptions): Promise<Explanation> {
  if (options.file.length > 0 === options.configDump.length > 0)
    throw new SallyportError('usage', 'say what to explain the call over: either --file or --config-dump');
  if (options.configDump.length > 0)
    return explainDump(await (await import('../prove/dumped.ts')).dumpedMesh(options.configDump), target, options);
  const { snapshot, mesh: config } = await readMesh(options.file, options);
  return explain(simulateFiles(snapshot, config), target, options);
}

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

function targetOf(words: readonly string[], { header, sni, httpVersion }: ExplainOptions): CallTarget {
  const [first, second] = words;
  const [method, url] = second === undefined ? ['GET', first!] : [first!, second];
  try {
    return parseTarget(url, { method, headers: header, serverName: sni, httpVersion });
  } catch (error) {
    throw new SallyportError('usage', (error as Error).message);
  }
}

export interface Explanation {
  readonly from: string;
  readonly destination: string;
  /** How the address was found. */
  readonly resolved: string;
  readonly trace: Trace;
  /** Where copies go that mirroring makes of the call. */
  readonly copies: readonly Trace[];
  readonly advice: Advice | undefined;
  /** How the call ends where its way is not all that counts. */
  readonly ending?: Ending | undefined;
}

/** Stands for what real DNS says of a name that the mesh has no address for: TEST-NET-3 of RFC 5737. */
const SOMEWHERE = '203.0.113.1';

type Caller = Pick<ExplainOptions, 'from' | 'to'>;

/** Explains a call from the workload `from` to `to`, or to what names resolve to. Throws `usage` where it is not clear who calls. */
export function explain(files: SimulatedFiles, target: CallTarget, options: Caller): Explanation {
  const sidecars = files.proxies.filter(({ type }) => type === 'sidecar').map(({ namespace, name }) => `${namespace}/${name}`);
  const name = callerOf(sidecars, options);
  const router = files.proxies.find((proxy) => proxy.type === 'router' && `${proxy.namespace}/${proxy.name}` === name);
  if (router) return atGateway(files, router, target);
  const from = name === 'plain' ? undefined : files.proxy(name);
  const known =
    from &&
    files
      .names(from)
      .lookup(target.host)
      ?.find((ip) => !ip.includes(':'));
  const way = follow(files.simulated, from, target, options, known);
  const trace = locatedTrace(way.trace, files.mesh.snapshot);
  const copies = way.copies.map((copy) => locatedTrace(copy, files.mesh.snapshot));
  return { ...way, from: name, trace, copies, advice: adviseOn(files, from, target, trace), ending: endingOf(target.payload, trace) };
}

/** A call that has come to a gateway: at the port of its pod that the called port of its Service leads to. */
function atGateway(files: SimulatedFiles, router: ProxyIdentity, target: CallTarget): Explanation {
  const served = files.mesh.registry.servicesOf(router).find(({ port }) => port.number === target.port);
  const port = served?.endpointPort ?? target.port;
  const way = follow(files.simulated, undefined, { ...target, port }, { to: router.addresses[0] }, undefined);
  return {
    ...way,
    from: 'a client',
    resolved: `gateway ${router.namespace}/${router.name}`,
    trace: locatedTrace(way.trace, files.mesh.snapshot),
    copies: way.copies.map((copy) => locatedTrace(copy, files.mesh.snapshot)),
    advice: undefined,
  };
}

/** Explains a call over the dumps of running proxies: without advice, for which resources are needed. Throws `usage`, `no-such-workload`. */
export function explainDump({ proxies, simulated }: DumpedMesh, target: CallTarget, options: Caller): Explanation {
  const sidecars = proxies.filter(({ type }) => type === 'sidecar');
  const names = sidecars.map((sidecar) => sidecar.name);
  const name = sidecars.length === 0 && options.from === undefined ? 'plain' : callerOf(names, options);
  const from = sidecars.find((sidecar) => sidecar.name === name);
  if (!from && name !== 'plain') {
    throw new SallyportError('no-such-workload', `no dump is of a sidecar ${name}; there are ${names.join(', ') || 'none'}.`);
  }
  return { ...follow(simulated, from, target, options, undefined), from: name, advice: undefined };
}

function callerOf(sidecars: readonly string[], { from }: Caller): string {
  const name = from ?? (sidecars.length === 1 ? sidecars[0] : undefined);
  if (name === undefined) throw new SallyportError('usage', `say who calls: --from ${sidecars.join(' or --from ')}`);
  return name;
}

function follow(mesh: SimulatedMesh, from: SimulatedProxy | undefined, target: CallTarget, { to }: Caller, known: string | undefined) {
  const isAddress = /^[\d.]+$|:/.test(target.host);
  const ip = to ?? (isAddress ? target.host : (known ?? SOMEWHERE));
  const resolved = to ? 'as given' : isAddress ? '' : known ? "the mesh's DNS" : 'real DNS (any address outside the mesh)';
  const call = {
    source: { ip: from?.addresses[0] ?? '192.0.2.1', port: 0 },
    destination: { ip, port: target.port },
    payload: target.payload,
  };
  return { destination: `${ip}:${target.port}`, resolved, trace: explainCall(mesh, from, call), copies: copiesOf(mesh, from, call) };
}

export function render({ from, destination, resolved, trace, copies, advice, ending }: Explanation, paint: Paint): string {
  const lines = [`${paint('bold', from)} connects to ${destination}${resolved ? ` (${resolved})` : ''}`];
  for (const hop of trace.hops) {
    lines.push('', `${paint('bold', hop.proxy)}${hop.flag ? `  flag ${paint('red', hop.flag)}` : ''}`);
    for (const step of hop.steps) lines.push(`  ${stepLine(step, paint)}`);
  }
  lines.push('', outcomeLine(trace.outcome, paint));
  if (ending) lines.push(`${paint('red', 'Fails')}: the application sees ${ending.status ?? 'its connection fail'}: ${ending.because}`);
  for (const line of trace.response ? responseLines(trace.response) : []) lines.push(`  ${line}`);
  for (const copy of copies) {
    const way = copy.hops.map(({ proxy, cluster }) => `${proxy} ${cluster}`.trim()).join(' > ');
    lines.push('', `${paint('bold', 'A copy')} of the request, by ${way}`, outcomeLine(copy.outcome, paint));
  }
  if (advice) {
    for (const line of advice.nearMisses) lines.push(`  ${line}`);
    if (advice.allow) lines.push('', 'To allow this call, add:', '', advice.allow.trimEnd());
  }
  return `${lines.join('\n')}\n`;
}

function stepLine({ kind, name, text, origins }: Step, paint: Paint): string {
  const where = origins.map(placedText).join(', ');
  return `${paint('dim', kind.padEnd(13))} ${name ? `${paint('cyan', name)}: ` : ''}${text}${where ? paint('dim', `  [${where}]`) : ''}`;
}

/** What proxies change of the response; nothing where they pass it on as it is. */
function responseLines({ status, headers, removed }: SeenResponse): string[] {
  const changes = [
    ...headers.map(({ name, value, how }) => `${name}: ${value}${how === 'added' && status === undefined ? ' (added)' : ''}`),
    ...(removed.length > 0 ? [`without ${removed.join(', ')}`] : []),
  ];
  const whose = status === undefined ? "the server's answer" : `status ${status}`;
  return changes.length > 0 ? [`The application sees ${whose} with`, ...changes.map((change) => `  ${change}`)] : [];
}

/** What the application sees. */
function outcomeLine(outcome: Outcome, paint: Paint): string {
  switch (outcome.kind) {
    case 'upstream': {
      const where = outcome.endpoint ? `${outcome.endpoint.ip}:${outcome.endpoint.port}` : outcome.host;
      const what = outcome.payload.tls
        ? `TLS, SNI ${outcome.payload.tls.serverName || 'none'}`
        : outcome.payload.http
          ? `HTTP, Host ${outcome.payload.http.authority}`
          : 'TCP';
      return `${paint('green', 'Reaches')} ${outcome.host && outcome.endpoint ? `${outcome.host} at ` : ''}${where} (${what})`;
    }
    case 'reply':
      return `${paint(outcome.status >= 400 ? 'red' : 'green', 'Answered')} ${outcome.status} by the proxy${outcome.location ? `, location ${outcome.location}` : ''} (${outcome.details})`;
    case 'closed':
      return `${paint('red', 'Closed')}: the application sees its connection accepted and closed (${outcome.details})`;
    case 'undecided':
      return `${paint('yellow', 'Undecided')}: ${outcome.details}`;
  }
}
