/** `up --learn FILE`: everything is allowed and recorded, and what the files do not declare becomes a proposal in FILE. */
import { existsSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { MeshConfig } from '../../api/index.ts';
import { Layered } from '../../config/layered.ts';
import { snapshotFromText } from '../../config/memory.ts';
import { meshConfigTextIn } from '../../config/mesh-config.ts';
import type { MeshInput } from '../../config/mesh-source.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { type Observation, type Observed, Observer } from '../../learn/observed.ts';
import { type ProposeOptions, propose } from '../../learn/propose.ts';
import { parseLine } from '../../learn/records.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import { check } from '../../prove/learned.ts';
import { sortedOut, takenBy } from '../../prove/learned-beside.ts';
import { checkLines, counted, PROPOSAL_MARK, proposalText, unplacedLines } from '../../prove/learned-text.ts';
import { urlOf } from '../../prove/replay.ts';
import { PASSTHROUGH_CLUSTER } from '../../xds/names.ts';
import type { XdsResources } from '../../xds/resources.ts';
import { CallRecord } from './record.ts';
import { allowingConfig, allowingSnapshot, recorded } from './recording.ts';
import { strictConfigText } from './strict-config.ts';

/** How often the record is looked at, ms. */
const LOOK_MS = 100;
/** Counts and times in the file are at most so old, ms; what is new is written at once. */
const STALE_MS = 5000;
/** The record is read and dropped; beyond so many bytes it goes on in a new file. */
const LONGEST_RECORD = 8 * 1024 * 1024;

export interface LearningOptions {
  /** Files and folders that are read. */
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
  /** Who calls, and where the resources go. */
  readonly caller: ProxyIdentity;
  /** Has the proxies open their logs anew. */
  readonly reopenLogs: () => void;
  readonly log: Logger;
}

/** What has been recorded, and what it comes to. */
export interface LearnedSoFar {
  /** Where the proposal of all of it is written. */
  readonly file: string;
  /** Calls to what the files declare. */
  readonly declared: number;
  /** Every destination, also those that are left out. */
  readonly observed: readonly Observed[];
  /** YAML; empty where nothing is proposed. */
  readonly text: string;
}

/** The file of a proposal: the path itself, or `learned.yaml` in the folder that it names. Throws `usage` or `path-not-found`. */
export function proposalFile(path: string, read: readonly string[]): string {
  const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, 'learned.yaml') : path;
  const folder = dirname(resolve(file));
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new SallyportError('path-not-found', `cannot write ${file}: there is no folder ${folder}.`);
  const real = join(realpathSync(folder), basename(file));
  for (const one of read) {
    if (one === '-' || !existsSync(one)) continue;
    const way = relative(realpathSync(one), real);
    if (way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && statSync(one).isDirectory()))
      throw new SallyportError(
        'usage',
        `${file} ${way === '' ? 'is' : 'is in'} ${one}, which is read: what is proposed there would be declared at once, and so no proposal any more. Name a file outside of it.`,
      );
  }
  if (existsSync(real) && !readRegularText(real).startsWith(PROPOSAL_MARK))
    throw new SallyportError('usage', `${file} is there already and is no proposal of learn: it is not overwritten. Name another file.`);
  return file;
}

export class Learning {
  readonly file: string;
  /** Where the MeshConfig goes that the proposal needs, if it is not in force. */
  readonly meshConfigFile: string;
  readonly #options: LearningOptions;
  readonly #record: CallRecord;
  readonly #observer = new Observer();
  #input: MeshInput | undefined;
  #timer: NodeJS.Timeout | undefined;
  #declared = 0;
  #changed = false;
  #written = 0;

  /** Throws what `proposalFile` throws. */
  constructor(path: string, options: LearningOptions) {
    const { paths, meshConfig, reopenLogs: reopen } = options;
    this.#options = options;
    const read = meshConfig === undefined ? paths : [...paths, meshConfig];
    this.file = proposalFile(path, read);
    this.meshConfigFile = proposalFile(`${this.file.replace(/\.ya?ml$/, '')}.mesh-config.yaml`, paths);
    if (existsSync(this.file)) for (const seen of observedIn(readRegularText(this.file))) this.#observer.resume(seen);
    this.#record = new CallRecord({ longest: LONGEST_RECORD, reopen });
  }

  /** What the files say, with everything else allowed. */
  allowing(input: MeshInput): MeshInput {
    this.#input = input;
    return { ...input, snapshot: allowingSnapshot(input.snapshot), mesh: allowingConfig(input.mesh) };
  }

  /** What proxies of a type are to run on, with the settings that they were translated by. */
  recorded(resources: XdsResources, type: ProxyIdentity['type'], mesh: MeshConfig): XdsResources {
    return type === 'sidecar' ? recorded(resources, this.#record.path, mesh) : resources;
  }

  /** Ends it where nothing could start. */
  abandon(): void {
    clearInterval(this.#timer);
    this.#record.close();
  }

  /** Follows the record, and writes the file when something new is called. */
  start(): void {
    this.#timer = setInterval(() => {
      this.#look();
      if (!this.#changed || performance.now() - this.#written < STALE_MS) return;
      this.#save();
    }, LOOK_MS);
  }

  /** Takes what is left, writes the file, and says what came of it; the traffic has ended. Returns whether the proposal keeps its promise. */
  finish(out: (text: string) => void): boolean {
    clearInterval(this.#timer);
    try {
      this.#look();
      const observation = this.#observer.observation();
      if (observation.observed.length === 0) {
        out(`Nothing was called that the files do not declare: ${this.file} is not written.\n`);
        for (const line of unplacedLines(observation)) out(`${line}\n`);
        return true;
      }
      this.#save();
      return this.#conclude(observation, out);
    } finally {
      this.abandon();
    }
  }

  #conclude(observation: Observation, out: (text: string) => void): boolean {
    const input = this.#input!;
    const { placed, remarks } = sortedOut(observation, input.snapshot);
    const { name, namespace } = this.#options.caller;
    const beside = {
      snapshot: new Layered(input.snapshot, callerPod(this.#options.caller)),
      mesh: input.mesh,
      callerOf: () => `${namespace}/${name}`,
    };
    const checked = check(propose(placed, this.#proposeOptions(input.snapshot)), observation, beside);
    const keeps = checked.broken.length === 0 && checked.proved;
    const calls = observation.calls.reduce((sum, { count }) => sum + count, 0);
    const lines = [
      `${this.file}: ${counted(observation.observed.length, 'destination')} of ${counted(calls, 'call')}; ${counted(this.#declared, 'other call')} went to what the files declare.`,
      ...remarks,
      ...unplacedLines(observation),
      ...checkLines(checked),
      '',
      ...(keeps ? [] : ['Not all of this holds as it is: mend first what is said above.']),
      ...this.#nextSteps(input),
    ];
    out(`${lines.join('\n')}\n`);
    return keeps;
  }

  /** The commands that hold the application to the proposal, with the MeshConfig that they need. */
  #nextSteps({ mesh, snapshot }: MeshInput): string[] {
    const { paths, meshConfig } = this.#options;
    // What is strict only here, as for a contained command, is not so for who reads the proposal.
    const isStated = meshConfig !== undefined || meshConfigTextIn(snapshot) !== '';
    const isStrict = isStated && mesh.outboundTrafficPolicy.mode === 'REGISTRY_ONLY';
    if (!isStrict) {
      this.#write(this.meshConfigFile, () =>
        strictConfigText(meshConfig === undefined ? meshConfigTextIn(snapshot) : readRegularText(meshConfig)),
      );
    }
    const config = isStrict ? meshConfig : this.meshConfigFile;
    const all = [...[...paths, this.file].map(quoted), ...(config === undefined ? [] : [`--mesh-config ${quoted(config)}`])].join(' ');
    return [
      isStrict
        ? 'To allow this and nothing else:'
        : `To allow this and nothing else (${this.meshConfigFile} is your MeshConfig with outboundTrafficPolicy.mode REGISTRY_ONLY):`,
      `  sallyport verify --adversary captured ${all}`,
      `  sallyport up ${all}`,
    ];
  }

  /** What is proposed now, without the hosts that are left out. */
  proposed(leftOut: ReadonlySet<string>): LearnedSoFar {
    this.#look();
    const observation = this.#observer.observation();
    const observed = observation.observed.filter(({ host }) => !leftOut.has(host));
    return {
      file: this.file,
      declared: this.#declared,
      observed: observation.observed,
      // A wildcard could stand for a name that is left out.
      text: observed.length === 0 ? '' : this.#proposalOf({ ...observation, observed }, leftOut.size === 0),
    };
  }

  /** Takes what was recorded since the last time. */
  #look(): void {
    for (const line of this.#record.lines()) this.#take(line);
  }

  #take(line: string): void {
    const parsed = parseLine(line);
    if (parsed.kind !== 'record') {
      this.#options.log('warn', `learn: a record cannot be read: ${parsed.why}: ${line.slice(0, 120)}`);
      return;
    }
    if (parsed.record.cluster !== PASSTHROUGH_CLUSTER) {
      this.#declared++;
      return;
    }
    this.#changed = true;
    const added = this.#observer.add(parsed.record);
    if (!added) return;
    this.#options.log('info', `learned ${urlOf({ ...added, path: '' })}`);
    // At once.
    this.#written = Number.NEGATIVE_INFINITY;
  }

  #save(): void {
    this.#changed = false;
    this.#written = performance.now();
    const text = this.#proposalOf(this.#observer.observation());
    this.#write(this.file, () => text);
  }

  #proposalOf(observation: Observation, wildcards = true): string {
    const { snapshot } = this.#input!;
    const { placed, remarks } = sortedOut(observation, snapshot);
    const options = { ...this.#proposeOptions(snapshot), ...(!wildcards && { wildcardAfter: Number.POSITIVE_INFINITY }) };
    return proposalText(propose(placed, options), remarks);
  }

  /** Replaces a file as a whole. */
  #write(file: string, text: () => string): void {
    const fresh = join(dirname(file), `.${basename(file)}.${process.pid}`);
    try {
      // A link that a contained command has put there is not followed.
      rmSync(fresh, { force: true });
      writeFileSync(fresh, text(), { flag: 'wx' });
      renameSync(fresh, file);
    } catch (error) {
      rmSync(fresh, { force: true });
      this.#options.log('error', `learn: cannot write ${file}: ${messageOf(error)}`);
    }
  }

  #proposeOptions(snapshot: Snapshot): ProposeOptions {
    return { namespace: this.#options.caller.namespace, wildcardAfter: 10, taken: takenBy(snapshot) };
  }
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w./:@%+,=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** The workload that calls, as one of the resources. */
function callerPod({ name, namespace, labels }: ProxyIdentity): Snapshot {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { containers: [{ name: 'app' }] },
    status: { phase: 'Running', podIP: '192.0.2.1', conditions: [{ type: 'Ready', status: 'True' }] },
  };
  return snapshotFromText(JSON.stringify(pod), { file: 'sallyport up' });
}

/** What the comments of a proposal say was seen: learning goes on from there. */
export function observedIn(proposal: string): Observed[] {
  return [...proposal.matchAll(/^#\s+(\S+):(\d+) (HTTP|TLS|TCP): (\d+) calls?(?:, last (\S+))?$/gm)].map(
    ([, host, port, protocol, count, lastSeen = '']) => ({
      host: host!,
      port: Number(port),
      protocol: protocol as Observed['protocol'],
      originatedAt: undefined,
      addresses: [],
      clients: undefined,
      count: Number(count),
      lastSeen,
    }),
  );
}
