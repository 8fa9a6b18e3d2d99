/** The answer to `/guard`: what would widen the egress of guarded namespaces is refused, unless its user may widen it. */
import type { Snapshot } from '../../config/snapshot.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { createPace, paced } from '../../lib/pace.ts';
import { simulateFiles } from '../../prove/simulated.ts';
import { type Widening, wideningSteps } from '../../prove/widening.ts';
import type { Mesh } from '../../translate/model.ts';
import { GUARD_LABEL, type GuardOptions } from './guard-options.ts';
import type { AdmissionAnswer, AdmissionUser } from './review.ts';
import { beforeSubmitted, decodedOf, type Submitted, withSubmitted } from './submitted.ts';
import { errorsOf, refusalText } from './validate.ts';
import { cut, warningText } from './warning-text.ts';

/** The label's value. */
const ON = 'enabled';

/** How long a comparison may take, ms: the chart has API servers wait thirty seconds, which is the longest that they do. */
const MOST_MS = 25_000;
/** How long it may keep the thread from other work at a time, ms. */
const SLICE_MS = 10;
/** Of the calls and reasons that are told. */
const MOST_TOLD = 5;
/** In characters. */
const SENTENCE = 500;

export class EgressGuard {
  readonly #options: GuardOptions;
  readonly #now: () => number;
  /** Resolves when the object before is judged: one is judged at a time, so that many at once hold up nothing else. */
  #last: Promise<void> = Promise.resolve();

  /** @param now ms, monotonic */
  constructor(options: GuardOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** By what is in force. */
  async answer(submitted: Submitted, mesh: Mesh, user: AdmissionUser): Promise<AdmissionAnswer> {
    const judged = await this.#judged(submitted, mesh);
    const may = mayWiden(user, this.#options.allowed);
    // API servers ask `/validate` at the same time and tell whoever answers first: of what is not valid both say the same.
    const errors = may || judged.undecided.length === 0 ? [] : errorsOf(submitted);
    return errors.length > 0 ? { refusal: refusalText(errors) } : guardAnswer(judged, may);
  }

  async #judged(submitted: Submitted, mesh: Mesh): Promise<Widening> {
    const namespaces = guardedNamespaces(mesh.snapshot, this.#options.namespaces);
    if (namespaces.size === 0) return { widens: [], undecided: [] };
    const unknown = notUnderstood(submitted);
    if (unknown.length > 0) return { widens: [], undecided: unknown };
    const end = this.#now() + MOST_MS;
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const turn = this.#last;
    this.#last = done;
    await turn;
    try {
      return await this.#compared(submitted, mesh, namespaces, end);
    } catch (error) {
      return { widens: [], undecided: [`it could not be compared: ${messageOf(error)}`] };
    } finally {
      resolve();
    }
  }

  #compared(submitted: Submitted, mesh: Mesh, namespaces: ReadonlySet<string>, end: number): Promise<Widening> {
    const pace = createPace(SLICE_MS, this.#now);
    const bounded = () => {
      if (this.#now() > end) throw new SallyportError('admission-late', `the comparison takes longer than ${MOST_MS / 1000} s`);
      return pace();
    };
    bounded();
    const { snapshot, config } = mesh;
    const before = simulateFiles(beforeSubmitted(snapshot, submitted), config, undefined, { near: mesh });
    const after = simulateFiles(withSubmitted(snapshot, submitted), config, undefined, { near: before.mesh });
    return paced(wideningSteps(before, after, namespaces), bounded);
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
  const told = sentences.slice(0, MOST_TOLD).map((sentence) => cut(sentence, SENTENCE));
  if (sentences.length <= MOST_TOLD) return told;
  return [...told, `and ${sentences.length - MOST_TOLD} more`];
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
