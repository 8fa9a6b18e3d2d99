/** Whole phases of a translation, kept as one, so that a change elsewhere does not even walk over what they are made of. */
import { MemberResults } from '../lib/member-results.ts';
import { type Key, Memo, NO_INPUTS } from '../lib/memo.ts';
import { destinationRuleLookup } from '../registry/destination-rules.ts';
import type { TranslateContext } from './context.ts';
import { type Made, made, take } from './notes.ts';
import { holdsFor, type Read, recording } from './reading.ts';
import type { Scope } from './scope.ts';

/** Proxies that read different things in a phase and have the same keys: so many are told apart at a time. */
const MOST = 8;

interface Kept<T> {
  readonly result: Made<T>;
  /** What the phase read of the proxy, in the order of reading. */
  readonly reads: readonly Read[];
}

/** The results of one phase. */
export class Phase<T> {
  readonly #kept = new Memo<Kept<T>[]>();

  /**
   * What `build` makes, or made before for the same keys and a proxy at which all that it reads is the same. It may read the proxy as it likes: the
   * reads are noted by whoever records this translation, whether `build` runs or not. Whatever else changes it may read only if it follows from the
   * keys; DestinationRules of the scope follow from their list.
   */
  get(context: TranslateContext, keys: readonly [object, ...Key[]], build: (context: TranslateContext) => T): T {
    const { proxy, mesh } = context;
    const entries = this.#kept.get(keys, NO_INPUTS, () => []);
    // Reads follow from the reads before them. So where one differs, `build` would have come as far as that and noted it as well.
    let found = entries.find(({ reads }) => reads.every((read) => holdsFor(read, proxy, mesh)));
    if (!found) {
      found = watchedBuild(context, build);
      entries.unshift(found);
      entries.splice(MOST);
    }
    return take(found.result, context);
  }
}

/** The results of one phase for each member of a list: when the list changes, only the members that are new are built. */
export class MemberPhase<M extends object, T> {
  readonly #kept = new Memo<MemberResults<M, { kept: Kept<T> | undefined }>>();

  /** As `Phase.get`, for each member of the list; `build` may read the member, which is no key. */
  get(
    context: TranslateContext,
    keys: readonly [object, ...Key[]],
    list: readonly M[],
    build: (context: TranslateContext, member: M) => T,
  ): readonly T[] {
    const { proxy, mesh } = context;
    const entries = this.#kept.get(keys, NO_INPUTS, () => new MemberResults()).of(list, () => ({ kept: undefined }));
    return entries.map((entry, place) => {
      if (!entry.kept?.reads.every((read) => holdsFor(read, proxy, mesh)))
        entry.kept = watchedBuild(context, (watched) => build(watched, list[place]!));
      return take(entry.kept.result, context);
    });
  }
}

/** What is read of the proxy meanwhile is noted by whoever records this translation, too. */
function watchedBuild<T>(context: TranslateContext, build: (context: TranslateContext) => T): Kept<T> {
  const { proxy, mesh } = context;
  const watched = recording(proxy, mesh);
  const scope = scopeOf(context.scope, watched);
  const result = made((notes) => build({ proxy: watched.proxy, mesh: watched.mesh, scope, ...notes }));
  const reads = watched.reads();
  for (const read of reads) holdsFor(read, proxy, mesh);
  return { result, reads };
}

/** The scope, in which the proxy is seen choosing among the rules that select workloads. */
function scopeOf(scope: Scope, { proxy, mesh }: Pick<TranslateContext, 'proxy' | 'mesh'>): Scope {
  const ruleFor = destinationRuleLookup(mesh, proxy);
  return {
    get egress() {
      return scope.egress;
    },
    get services() {
      return scope.services;
    },
    sidecar: scope.sidecar,
    outboundTrafficPolicy: scope.outboundTrafficPolicy,
    servicesNamed: (hostname) => scope.servicesNamed(hostname),
    serviceFor: (hostname) => scope.serviceFor(hostname),
    destinationRuleFor(hostname) {
      const service = scope.serviceFor(hostname);
      return service && ruleFor(service);
    },
    virtualServicesForGateway: (gateway) => scope.virtualServicesForGateway(gateway),
  };
}
