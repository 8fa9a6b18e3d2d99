/** The answer to `/guard`: what would widen the egress of guarded namespaces is refused, unless its user may widen it. */
import type { Snapshot } from '../../config/snapshot.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { type SimulatedFiles, simulateFiles } from '../../prove/simulated.ts';
import { type Widening, widening } from '../../prove/widening.ts';
import type { Mesh } from '../../translate/model.ts';
import type { AdmissionAnswer, AdmissionUser } from './review.ts';
import { decodedOf, type Submitted, withSubmitted } from './submitted.ts';
import { warningText } from './warning-text.ts';

/** On a namespace: the egress of its workloads is guarded. */
export const GUARD_LABEL = 'sallyport.dev/egress-guard';
const ON = 'enabled';

export interface GuardOptions {
  /** Which namespaces are guarded: those with the label, or all. */
  readonly namespaces: 'labelled' | 'all';
  /** Who may widen egress: groups, and users as `user:NAME`. */
  readonly allowed: readonly string[];
}

/** How long a comparison may take, ms: an API server waits ten seconds. */
const MOST_MS = 5000;
/** Of the calls and reasons that are told. */
const MOST_TOLD = 5;

export class EgressGuard {
  readonly #options: GuardOptions;
  readonly #now: () => number;
  /** The newest mesh that was asked about, ready for simulation. */
  #live: { readonly mesh: Mesh; readonly files: SimulatedFiles } | undefined;

  /** @param now ms, monotonic */
  constructor(options: GuardOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** By what is in force. */
  answer(submitted: Submitted, mesh: Mesh, user: AdmissionUser): AdmissionAnswer {
    return guardAnswer(this.#judged(submitted, mesh), mayWiden(user, this.#options.allowed));
  }

  #judged(submitted: Submitted, mesh: Mesh): Widening {
    const namespaces = guardedNamespaces(mesh.snapshot, this.#options.namespaces);
    if (namespaces.size === 0) return { widens: [], undecided: [] };
    const unknown = notUnderstood(submitted);
    if (unknown.length > 0) return { widens: [], undecided: unknown };
    const end = this.#now() + MOST_MS;
    const progress = () => {
      if (this.#now() > end) throw new SallyportError('admission-late', `the comparison takes longer than ${MOST_MS / 1000} s`);
    };
    try {
      const before = this.#filesOf(mesh);
      return widening(before, simulateFiles(withSubmitted(mesh.snapshot, submitted), mesh.config), namespaces, progress);
    } catch (error) {
      return { widens: [], undecided: [`it could not be compared: ${messageOf(error)}`] };
    }
  }

  #filesOf(mesh: Mesh): SimulatedFiles {
    if (this.#live?.mesh !== mesh) this.#live = { mesh, files: simulateFiles(mesh.snapshot, mesh.config) };
    return this.#live.files;
  }
}

/** The decision. */
export function guardAnswer({ widens, undecided }: Widening, mayWiden: boolean): AdmissionAnswer {
  if (widens.length + undecided.length === 0) return {};
  const told = [...first(widens), ...first(undecided).map((sentence) => `undecided: ${sentence}`)];
  if (mayWiden) return { warnings: told.map((sentence) => warningText(`widens egress: ${sentence}`)) };
  const what = widens.length > 0 ? 'it would widen egress' : 'whether it widens egress is not known, and so it is not let in';
  return { forbidden: true, refusal: `${what}: ${told.join('; ')}. Who may have it so all the same is said by --allow-widening-by` };
}

function first(sentences: readonly string[]): string[] {
  if (sentences.length <= MOST_TOLD) return [...sentences];
  return [...sentences.slice(0, MOST_TOLD), `and ${sentences.length - MOST_TOLD} more`];
}

export function mayWiden({ name, groups }: AdmissionUser, allowed: readonly string[]): boolean {
  return allowed.some((each) => (each.startsWith(USER) ? name !== '' && each.slice(USER.length) === name : groups.includes(each)));
}

const USER = 'user:';

function guardedNamespaces(snapshot: Snapshot, which: GuardOptions['namespaces']): ReadonlySet<string> {
  const there = snapshot.list('Namespace').filter(({ metadata }) => which === 'all' || metadata.labels[GUARD_LABEL] === ON);
  // Where resources are files, namespaces need not be among them.
  const named = which === 'all' ? snapshot.all().map(({ metadata }) => metadata.namespace) : [];
  return new Set([...there.map(({ metadata }) => metadata.name), ...named].filter((name) => name !== ''));
}

/** Why it cannot be compared: it is no object of a kind that is read, or not in force. */
function notUnderstood(submitted: Submitted): string[] {
  if (!submitted.object) return [];
  const { resources, findings } = decodedOf(submitted);
  if (resources.length === 1 && resources[0]!.valid) return [];
  return findings.map(({ message }) => message);
}
