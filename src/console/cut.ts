/** What is shown, and what is answered, cut to what somebody may see. Secrets are left out for everybody: these are many people's eyes. */
import { type Snapshot, withObjects } from '../config/snapshot.ts';
import type { Reach } from '../control/serving/mesh-flows.ts';
import { codeOf, SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import type { Difference, Explained, Outwards } from './model.ts';
import type { Asker } from './questions/asker.ts';
import type { Answers, ExplainQuestion, Question } from './questions/question.ts';
import { namespaceIn, type Sight } from './sight.ts';
import type { MeshShown, Moment } from './subject.ts';

/** Stands for a proxy of a namespace that is not seen. */
export const ELSEWHERE = 'a proxy of another namespace';

/** Each moment is cut once for those who see the same. */
export class Cuts {
  readonly #made = new WeakMap<Moment, Map<string, Moment>>();

  cut(shown: MeshShown, sight: Sight): MeshShown {
    const { reach } = shown;
    return {
      ...shown,
      now: () => this.#at(shown.now(), sight),
      reach: reach && (() => cutReach(reach(), sight)),
    };
  }

  #at(moment: Moment, sight: Sight): Moment {
    const made = this.#made.get(moment) ?? new Map<string, Moment>();
    this.#made.set(moment, made);
    const known = made.get(sight.key) ?? cutMoment(moment, sight);
    made.set(sight.key, known);
    return known;
  }
}

function cutReach(reach: Reach, sight: Sight): Reach {
  return { ...reach, proxies: reach.proxies.filter(({ proxy }) => sight.sees(namespaceIn(proxy))) };
}

export function cutMoment(moment: Moment, sight: Sight): Moment {
  return {
    ...moment,
    snapshot: cutSnapshot(moment.snapshot, sight),
    findings: moment.findings.flatMap((finding) => cutFinding(finding, sight)),
    proxies: moment.proxies
      .filter(({ identity }) => sight.sees(identity.namespace))
      .map((proxy) => ({ ...proxy, refusals: proxy.refusals.map(sight.text) })),
    running: moment.running.filter(({ namespace }) => sight.sees(namespace)),
  };
}

function cutSnapshot(snapshot: Snapshot, sight: Sight): Snapshot {
  const isSeen = ({ kind, metadata }: { readonly kind: string; readonly metadata: { readonly namespace: string } }) =>
    kind !== 'Secret' && sight.sees(metadata.namespace);
  const all = snapshot.all().filter(isSeen);
  const cut = withObjects(snapshot, {
    list: (kind) => snapshot.list(kind).filter(isSeen),
    get: (kind, namespace, name) => {
      const found = snapshot.get(kind, namespace, name);
      return found && isSeen(found) ? found : undefined;
    },
    all: () => all,
  });
  return { ...cut, findings: snapshot.findings.flatMap((finding) => cutFinding(finding, sight)) };
}

/** That something is wrong with what somebody may see they are told in any case. */
function cutFinding(finding: Finding, sight: Sight): Finding[] {
  if (!sight.sees(finding.origin.namespace)) return [];
  const { message, position, mend: _, ...rest } = finding;
  const cut = { ...rest, message: sight.text(message) };
  const isPlaceSeen = position === undefined || sight.text(position.file) === position.file;
  if (cut.message === message && isPlaceSeen) return [finding];
  return [isPlaceSeen && position ? { ...cut, position } : cut];
}

/** Asks about the whole mesh, for somebody who sees a part. */
export class CutAsker implements Pick<Asker, 'ask'> {
  readonly #asker: Pick<Asker, 'ask'>;
  readonly #sight: Sight;

  constructor(asker: Pick<Asker, 'ask'>, sight: Sight) {
    this.#asker = asker;
    this.#sight = sight;
  }

  /** Rejects as the other; with `not-seen` where the answer would be about what is not seen, or false without it. */
  ask: Asker['ask'] = async <Q extends Question>(question: Q, options = {}): Promise<Answers[Q['kind']]> => {
    const asked: Question = question;
    const answer = async <K extends Question>(one: K) => this.#asker.ask(one, options).catch((error) => this.#rethrow(error));
    const cut = async (): Promise<Answers[keyof Answers]> => {
      switch (asked.kind) {
        case 'workloads':
          return (await answer(asked)).filter((name) => this.#sight.sees(namespaceIn(name)));
        case 'explain':
          return cutExplained(await answer(this.#own(asked)), this.#sight);
        case 'outwards':
          return cutOutwards(await answer({ kind: 'outwards', namespaces: this.#sight.namespaces ?? [] }), this.#sight);
        case 'diff':
          return cutDifference(await answer({ ...asked, namespaces: this.#sight.namespaces ?? [] }), this.#sight);
        default:
          throw wholeMesh();
      }
    };
    return (await cut()) as Answers[Q['kind']];
  };

  /** Only calls of workloads that are seen are explained: who else calls is not theirs to ask. */
  #own(question: ExplainQuestion): ExplainQuestion {
    if (question.from === undefined) throw new SallyportError('usage', 'say from: which workload calls, as namespace/name');
    if (this.#sight.sees(namespaceIn(question.from))) return question;
    throw new SallyportError('not-seen', `you may not see the namespace of ${question.from}, so its calls are not explained to you`);
  }

  #rethrow(error: unknown): never {
    // That names what they have named themselves.
    if (codeOf(error) === 'not-seen') throw error;
    if (error instanceof SallyportError) throw new SallyportError(error.code, this.#sight.text(error.message));
    throw error;
  }
}

export function wholeMesh(): SallyportError {
  return new SallyportError(
    'not-seen',
    'the answer is about the whole mesh, and would be false of a part: it is for those who may see all namespaces',
  );
}

export function cutExplained(explained: Explained, sight: Sight): Explained {
  const { hops, text, resolved, copies, nearMisses, whyNot, allow } = explained;
  const { allow: _, ...rest } = explained;
  const cut: Explained = {
    ...rest,
    resolved: sight.text(resolved),
    hops: hops.map((hop) => cutHop(hop, sight)),
    text: sight.text(text),
    copies: copies.map(sight.text),
    nearMisses: nearMisses.map(sight.text),
    whyNot: whyNot.map(sight.text),
    ...(allow !== undefined && sight.text(allow) === allow && { allow }),
  };
  return JSON.stringify(cut) === JSON.stringify(explained) ? explained : { ...cut, isCut: true };
}

type Hop = Explained['hops'][number];

function cutHop(hop: Hop, sight: Sight): Hop {
  const { proxy, flag, cluster, steps } = hop;
  if (!sight.sees(namespaceIn(proxy))) return { proxy: ELSEWHERE, flag, cluster: '', steps: [] };
  return {
    proxy,
    flag,
    cluster: sight.text(cluster),
    steps: steps.map(({ kind, name, text, origins }) => ({
      kind,
      name: sight.text(name),
      text: sight.text(text),
      origins: origins.filter(({ namespace }) => sight.sees(namespace)),
    })),
  };
}

/** @param difference of the callers that are seen */
export function cutDifference(difference: Difference, sight: Sight): Difference {
  const { groups, undecided, added, removed, invalid } = difference;
  const isSeen = (name: string) => sight.sees(namespaceIn(name));
  const texts = (all: readonly string[]) => [...new Set(all.map(sight.text))];
  return {
    ...difference,
    groups: groups.map(({ causes, rows }) => ({
      causes: texts(causes),
      rows: rows.map(({ kind, workloads, destinations, before, after, example }) => ({
        kind,
        workloads: workloads.filter(isSeen),
        destinations: texts(destinations),
        before: texts(before),
        after: sight.text(after),
        example: sight.text(example),
      })),
    })),
    undecided: texts(undecided),
    added: added.filter(isSeen),
    removed: removed.filter(isSeen),
    invalid: texts(invalid),
    isCut: true,
  };
}

/** @param outwards of the callers that are seen */
export function cutOutwards(outwards: Outwards, sight: Sight): Outwards {
  const isSeen = (name: string) => sight.sees(namespaceIn(name));
  return {
    ...outwards,
    workloads: outwards.workloads.filter(isSeen),
    gateways: outwards.gateways.filter(isSeen),
    ways: outwards.ways.map((way) => ({ ...way, through: way.through.map((name) => (isSeen(name) ? name : ELSEWHERE)) })),
    round: outwards.round
      .map(({ workloads, how }) => ({ workloads: workloads.filter(isSeen), how: sight.text(how) }))
      .filter(({ workloads }) => workloads.length > 0),
  };
}
