/** `sallyport run -- CMD`: a command that reaches what the policy allows, and nothing else. */

import { lstatSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { Command, InvalidArgumentError } from 'commander';
import type { AuditedOptions } from '../audit/options.ts';
import { keepFromProxy, withoutProxyCredentials } from '../control/contained/forward-proxy.ts';
import { auditToHide } from '../control/contained/hidden-folders.ts';
import type { PolicyRead } from '../control/contained/policy.ts';
import type { Account } from '../control/contained/report.ts';
import { readyLines } from '../control/local/ready.ts';
import { type Via, viaOf } from '../control/local/via.ts';
import { reopenLogsOnSignal } from '../control/serve.ts';
import type { FlowHub } from '../flows/hub.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { checkWritable, type Place } from '../lib/output-file.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { type Allowed, parseAllowed } from '../policy/allow.ts';
import { addAuditOptions, auditing } from './audit-options.ts';
import { EXIT } from './exit.ts';
import { addMeshOptions, localMeshOptions, type UpOptions } from './mesh-options.ts';
import { defaulted, durationOption, failOnOption, portOption, repeatable, socketOption, WOULD_DENY } from './options.ts';
import { printError } from './print.ts';
import { REPORT, writeOrSay, writeReport } from './report-file.ts';
import { engineHostFor, say, sayOrEnd, sayUnfollowed } from './say.ts';
import { showing } from './shown.ts';

interface RunOptions extends UpOptions, AuditedOptions {
  readonly allow: readonly Allowed[];
  readonly policy: readonly string[];
  readonly allowLocal: readonly SocketAddress[];
  readonly allowSocket: readonly string[];
  readonly publish: readonly number[];
  readonly wouldDeny?: boolean;
  readonly report?: string;
  readonly learnPolicy?: string;
  readonly failOn: 'never' | 'refused';
  readonly cooperative?: boolean;
  readonly strict?: boolean;
  readonly ask?: boolean;
  readonly askTimeout: number;
}

/** @param words the command and its arguments: what stands after `--`. */
export function runCommand(words: readonly string[]): Command {
  const command = new Command('run')
    .summary('run a command that reaches what is allowed and nothing else: sallyport run --allow HOST -- CMD')
    .description(
      'Runs CMD and all that it starts so that they reach what --allow and the resources in PATH declare and nothing else, whether they cooperate or not ' +
        '(Linux; no root needed), and ends with its exit code. With --cooperative only HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are set, which any ' +
        'program may ignore; without PATH, --allow and the like it then uses the mesh that `sallyport up` runs, and the addresses of proxy, DNS, admin and status server matter.',
    )
    .usage('[options] [path...] -- CMD [argument...]')
    .argument('[path...]', 'files and folders with resources')
    .option(
      '--allow <host>',
      'HOST (80 and 443), HOST:PORT, *.SUFFIX:PORT or tcp://HOST:PORT; with =RANGE where its name leads to private addresses (repeatable)',
      (text, all: readonly Allowed[]) => [...all, parseAllowed(text)],
      [],
    )
    .option('--policy <file>', 'a list of hosts to allow (repeatable); its JSON Schema: sallyport schema AllowList', repeatable, [])
    .option(...REPORT)
    .option(
      '--allow-local <address:port>',
      'a service of this machine that CMD reaches at the same port of 127.0.0.1 (repeatable)',
      localOption,
      [],
    )
    .option('--allow-socket <path>', 'a unix socket of this machine that CMD reaches (repeatable)', repeatable, [])
    .option(
      '--publish <port>',
      'a port that CMD listens on, at 127.0.0.1 of this machine as well (repeatable)',
      (text, all: readonly number[]) => [...all, portOption(text)],
      [],
    )
    .option(...WOULD_DENY)
    .option('--learn-policy <file>', 'let all calls through, and write the list for --policy that allows what was reached')
    .addOption(failOnOption('CMD succeeded'))
    .option('--strict', 'hide the sockets of container engines and of key agents, too')
    .option('--ask', 'hold calls that nothing allows, and ask at the terminal; or, with --grants, wait for sallyport grant')
    .addOption(defaulted('--ask-timeout <duration>', 'how long a call is held', durationOption, '60s'))
    .option('--cooperative', 'set proxy variables alone: contains nothing that ignores them');
  return addAuditOptions(addMeshOptions(command)).action(async (paths: string[], options: RunOptions) => {
    if (words.length === 0) throw new SallyportError('usage', 'say what to run after --, e.g. sallyport run -- curl http://HOST/');
    process.exitCode = options.cooperative ? await cooperative(words, paths, options, command) : await contained(words, paths, options);
  });
}

async function contained(words: readonly string[], paths: readonly string[], options: RunOptions): Promise<number> {
  const { allowed, via } = await allowedBy(options);
  await sayUnset(allowed);
  const reportPlace = placeOf('--report', options.report);
  const policyPlace = placeOf('--learn-policy', options.learnPolicy);
  const [{ runContained }, { foldersToKeep, outsidePrograms, pathOutside }, { callerOf }, { flowCallers }] = await Promise.all([
    import('../control/contained/run.ts'),
    import('../control/contained/outside-programs.ts'),
    import('../control/contained/caller.ts'),
    import('../control/contained/flow-callers.ts'),
  ]);
  const ofMesh = await localMeshOptions(options, via);
  const keptFolders = foldersToKeep(outsidePrograms({ allowed, signs: options.auditSignCommand }), process.env);
  const audited = { ...options, auditSignPath: pathOutside(process.env, keptFolders) };
  const run = (flows: FlowHub | undefined) =>
    auditing(audited, options.engine, (audit) =>
      runContained({
        words,
        paths,
        allowed,
        mesh: {
          ...ofMesh,
          analyse: paths.length > 0,
          allowAll: (options.wouldDeny ?? false) || options.learnPolicy !== undefined,
        },
        host: { ...engineHostFor(via), flows, audit, tell: sayOrEnd((error) => say(messageOf(error))) },
        hidden: auditToHide(options),
        signs: options.auditSignCommand,
        environment: withoutProxyCredentials(environment(), via),
        way: via?.way,
        strict: options.strict ?? false,
        allowedSockets: options.allowSocket,
        local: options.allowLocal,
        published: options.publish,
        askMs: options.ask ? options.askTimeout : undefined,
        say,
      }),
    );
  const ran = await showing(
    'run',
    run,
    flowCallers(callerOf, () => performance.now()),
  );
  // Standard output is the command's own.
  ran.conclude(printError);
  const { refusals, reportText, summaryLines } = await import('../control/contained/report.ts');
  if (options.report === undefined) for (const line of summaryLines(ran)) say(line);
  else writeReport(options.report, (format) => reportText(ran, format), reportPlace);
  if (options.learnPolicy !== undefined) await writePolicy(options.learnPolicy, ran, policyPlace);
  const refused = options.failOn === 'refused' ? refusals(ran) : undefined;
  if (refused === undefined || ran.code !== 0) return ran.code;
  say(`the command succeeded, and ${refused}: exit code ${EXIT.findings} (--fail-on refused)`);
  return EXIT.findings;
}

/** What the command may call and what it leaves through; says what is left aside. */
async function allowedBy(options: RunOptions): Promise<{ readonly allowed: readonly Allowed[]; readonly via: Via | undefined }> {
  const { allowed: listed, ended } = await readLists(options.policy);
  const allowed = [...options.allow, ...listed];
  const via = viaOf(options, process.env);
  sayUnfollowed(options);
  if (via) keepFromProxy(via, allowed, options.allowLocal);
  for (const line of ended) say(line);
  if (!options.cooperative) for (const { host, ports } of options.allow) if (isOwnMachine(host)) say(ownMachineText(host, ports[0]!.port));
  return { allowed, via };
}

function isOwnMachine(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}

function ownMachineText(host: string, port: number): string {
  return `--allow ${host}: within the run ${host} is the command's own; a service of this machine is reached by --allow-local ${port}`;
}

/** Of credentials whose variable is missing: without a word only the first call would tell. */
async function sayUnset(allowed: readonly Allowed[]): Promise<void> {
  const injected = allowed.filter(({ injections }) => injections !== undefined);
  if (injected.length === 0) return;
  const { heldBy } = await import('../policy/injection.ts');
  for (const { host, injections = [] } of injected) {
    const unset = injections.flatMap(({ from }) => heldBy(from).variables).filter((name) => process.env[name] === undefined);
    for (const name of new Set(unset)) say(`${host}: the variable ${name} is not set, so calls that need its credential are refused (503)`);
  }
}

/** What reads them is loaded only where there are any. */
async function readLists(files: readonly string[]): Promise<PolicyRead> {
  if (files.length === 0) return { allowed: [], ended: [] };
  return (await import('../control/contained/policy.ts')).readPolicies(files, Date.now());
}

/** Where it is to be written when the command is over, which may put links there to what it cannot write itself. Throws `report-unwritable`. */
function placeOf(option: string, file: string | undefined): Place | undefined {
  if (file === undefined) return undefined;
  if (!file.startsWith('/dev/') && lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new SallyportError(
      'report-unwritable',
      `${option} ${file}: it is a link, which an earlier command may have put there: name the file that it leads to`,
    );
  return checkWritable(option, file);
}

async function writePolicy(file: string, { called, words }: Account, place: Place | undefined): Promise<void> {
  const { learnedPolicy } = await import('../control/contained/learned-policy.ts');
  const text = learnedPolicy(called, words);
  if (text === undefined) say(`no call reached anything, so there is nothing to allow: ${file} is left as it was`);
  else writeOrSay(file, text, { append: false, place });
}

function localOption(text: string, all: readonly SocketAddress[]): SocketAddress[] {
  const one = socketOption('127.0.0.1')(text);
  if (one.port === 0) throw new InvalidArgumentError('it needs a port.');
  if (all.some(({ port }) => port === one.port)) throw new InvalidArgumentError(`port ${one.port} is named already.`);
  return [...all, one];
}

/** What has a meaning only where the command is contained, or its calls are counted. */
const CONTAINED_ONLY = [
  'report',
  'allowLocal',
  'allowSocket',
  'publish',
  'wouldDeny',
  'learnPolicy',
  'failOn',
  'strict',
  'ask',
  'askTimeout',
];

async function cooperative(words: readonly string[], paths: readonly string[], options: RunOptions, command: Command): Promise<number> {
  if (options.proxyAddress.port === 0)
    throw new SallyportError('usage', '--cooperative needs the explicit proxy: --proxy-address must have a port.');
  const given = (names: readonly string[]) =>
    command.options.filter((each) => names.includes(each.attributeName()) && command.getOptionValueSource(each.attributeName()) === 'cli');
  const [vain] = given(CONTAINED_ONLY);
  if (vain) throw new SallyportError('usage', `${vain.long} needs a command that is contained: leave out --cooperative.`);
  const { runBesideOwn, runBesideUp } = await import('../control/contained/cooperative.ts');
  if (paths.length === 0 && given(OF_OWN_MESH).length === 0) return runBesideUp(words, options.proxyAddress, environment());
  const { allowed, via } = await allowedBy(options);
  const mesh = await localMeshOptions(options, via);
  const ran = await showing('run', (flows) =>
    auditing(options, options.engine, (audit) =>
      runBesideOwn({
        words,
        paths,
        allowed,
        mesh,
        host: { ...engineHostFor(via), flows, audit, tell: sayOrEnd((error) => say(messageOf(error))) },
        environment: withoutProxyCredentials(environment(), via),
        began: (control) => {
          for (const line of readyLines(options, control.report)) say(line);
          return reopenLogsOnSignal(() => control, say);
        },
      }),
    ),
  );
  ran.conclude(printError);
  return ran.code;
}

/** What somebody's mesh would not know of. */
const OF_OWN_MESH = ['audit', 'allow', 'policy', 'grants', 'learn', 'meshConfig', 'via', 'viaExcept', 'viaCredentials', 'viaCa'];

function environment(): Readonly<Record<string, string | undefined>> {
  const { NODE_COMPILE_CACHE: cache, ...others } = process.env;
  // Ours, for our threads.
  return cache === getCompileCacheDir() ? others : process.env;
}
