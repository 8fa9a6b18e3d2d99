/**
 * The one writer: each input becomes the xDS of its proxies in one turn, from its beginning to what is published, with nothing in between. How fast
 * a proxy takes it over is that proxy's own affair; the loop waits for none.
 */

import type { Identities } from '../ca/identities.ts';
import type { MeshInput } from '../config/mesh-source.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type BuiltRegistry, buildRegistry } from '../registry/index.ts';
import { keySourcesIn } from '../translate/authorization/key-sources.ts';
import type { Mesh } from '../translate/model.ts';
import type { XdsResources } from '../xds/resources.ts';
import { type Fleet, type Joined, type OpenFleet, settledTurn } from './fleet.ts';
import type { KeyFetcher } from './jwks/key-fetcher.ts';
import type { Report } from './report.ts';
import { Turn, type TurnSet } from './turn.ts';

/** What is made of an input before it is translated, all of it from this input alone. */
export interface Prepared {
  /** With what the surroundings add. */
  readonly input: MeshInput;
  readonly findings: readonly Finding[];
  /** Which proxies there are to be, by a key of their own, given what the registry makes of the input. */
  readonly proxies: (mesh: Mesh) => ReadonlyMap<string, ProxyIdentity>;
  /** Changes what was translated for proxies of a type; `up` leaves out listeners that nobody reaches. */
  readonly adapt?: (resources: XdsResources, type: ProxyIdentity['type']) => XdsResources;
}

export interface LoopOptions {
  readonly prepare: (input: MeshInput) => Prepared;
  /** Where what is published goes. */
  readonly fleet: OpenFleet;
  /** Gives proxies their identities; without it nobody has one. */
  readonly identities?: Identities | undefined;
  /** Fetches the keys of tokens; without it tokens whose keys are not in the files are refused. Whoever made it has `renew` called when they change. */
  readonly keys?: KeyFetcher | undefined;
  /** A state is in force with every proxy, newer than the one before. */
  readonly inForce?: (report: Report) => void;
  /** `report` has other findings or refusals: a proxy joined that is of a class of which there was none, or refused something. */
  readonly found?: () => void;
  readonly ended?: (proxy: ProxyIdentity, error: Error) => void;
  /** Identities could not be renewed: those that are in force end with their time. It is tried again. */
  readonly notRenewed?: (error: unknown) => void;
}

/** After a failure, ms. */
const RENEW_AGAIN_MS = 60_000;

interface Waiting {
  readonly turn: number;
  readonly resolve: (report: Report) => void;
  readonly reject: (error: unknown) => void;
}

export class Loop {
  /** What is in force; undefined until the first input is. */
  report: Report | undefined;
  readonly #options: LoopOptions;
  readonly #fleet: Fleet<TurnSet>;
  /** The turn of each input that was applied. */
  readonly #turns = new WeakMap<MeshInput, number>();
  #last: Turn | undefined;
  #lastInput: MeshInput | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #count = 0;
  /** Places in the order in which inputs were given: of the last one, and of the newest that was published. */
  #given = 0;
  #published = 0;
  #closed = false;
  #settled = 0;
  /** Of the report, as text. */
  #refusals = '';
  #registry: BuiltRegistry | undefined;
  #waiting: Waiting[] = [];

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#fleet = options.fleet({
      changed: () => this.#settle(),
      acknowledged: (answer) => {
        if (answer.kind === 'accepted') this.#settle();
        else this.#fail(answer.publication.turn.number, answer.error);
      },
      ended: (proxy, error) => options.ended?.(proxy, error),
      join: (of) => this.#join(of),
      prepare: (of, goOn) => this.#last?.prepare(of(this.#last.mesh), goOn),
      renew: () => this.#renewOrTell(),
    });
  }

  /**
   * Publishes the input for its proxies before it returns, unless it names keys of tokens that nobody knew before: then as soon as they have come or could not
   * be fetched, so that tokens are not refused for want of keys that are on their way. What comes meanwhile waits for its own keys alone. Resolves when each
   * proxy has taken over (or refused parts of) this input or a later one. An input that was applied before is not applied again. Rejects if the
   * input cannot be translated or a proxy fails to take it over; with the latter it is tried again behind the scenes.
   */
  async apply(input: MeshInput): Promise<Report> {
    if (!this.#turns.has(input)) {
      const place = ++this.#given;
      const keys = this.#options.keys?.expect(keySourcesIn(input.snapshot));
      if (keys) await keys;
      if (this.#closed) throw ended();
      // Else a later input is in force by now, or this one, which was given twice.
      if (place > this.#published && !this.#turns.has(input)) {
        this.#publish(++this.#count, input);
        this.#published = place;
        this.#turns.set(input, this.#count);
      }
    }
    return this.#inForce(this.#turns.get(input) ?? this.#count);
  }

  #inForce(turn: number): Promise<Report> {
    const waited = new Promise<Report>((resolve, reject) => this.#waiting.push({ turn, resolve, reject }));
    this.#settle();
    return waited;
  }

  /** Publishes the newest input anew: identities have been renewed, or other proxies are wanted. */
  renew(): void {
    if (!this.#lastInput) return;
    this.#publish(++this.#count, this.#lastInput);
    // Whoever applies it from now on waits for what it is now.
    this.#turns.set(this.#lastInput, this.#count);
    this.#settle();
  }

  /** Has every proxy open its access logs anew. */
  reopenLogs(): Promise<void> {
    return this.#fleet.reopenLogs();
  }

  /** Drains and ends every proxy; what waits to be in force is rejected. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#renewal);
    this.#options.keys?.close();
    this.#fail(Number.POSITIVE_INFINITY, ended());
    await this.#fleet.close(graceMs);
  }

  #publish(number: number, given: MeshInput): void {
    const { input, findings: preparing, proxies, adapt } = this.#options.prepare(given);
    const built = buildRegistry(input.snapshot, input.mesh, this.#registry);
    this.#registry = built;
    const { identities, keys } = this.#options;
    const mesh: Mesh = {
      snapshot: input.snapshot,
      registry: built.registry,
      config: input.mesh,
      ...(identities ? {} : { withoutIdentities: true }),
      ...(keys && { keys: keys.want(keySourcesIn(input.snapshot)) }),
    };
    const findings = [...input.snapshot.findings, ...built.findings, ...input.findings, ...preparing];
    const turn = new Turn({ number, mesh, findings, identities, adapt });
    const publications = new Map<string, { readonly identity: ProxyIdentity; readonly publication: TurnSet }>();
    for (const [key, identity] of proxies(mesh)) publications.set(key, { identity, publication: turn.setFor(identity) });
    this.#last = turn;
    this.#lastInput = given;
    this.#fleet.publish(publications, number);
    identities?.keepOnly(turn.uris);
    this.#renewAt(identities?.renewAt);
  }

  /** Certificates are renewed when half of their time is over. @param at ms since the epoch */
  #renewAt(at: number | undefined): void {
    clearTimeout(this.#renewal);
    if (at === undefined) return;
    this.#renewal = setTimeout(() => this.#renewOrTell(), Math.max(1000, at - Date.now())).unref();
  }

  /** As `renew`; where that fails it is told and tried again. */
  #renewOrTell(): void {
    try {
      this.renew();
    } catch (error) {
      this.#options.notRenewed?.(error);
      this.#renewAt(Date.now() + RENEW_AGAIN_MS);
    }
  }

  #join(of: (mesh: Mesh) => ProxyIdentity): Joined<TurnSet> {
    const turn = this.#last;
    if (!turn) throw new SallyportError('xds-unavailable', 'nothing has been translated yet');
    const identity = of(turn.mesh);
    const publication = turn.setFor(identity);
    this.#renewAt(this.#options.identities?.renewAt);
    return { identity, publication };
  }

  /** Sees how far every proxy has come. */
  #settle(): void {
    const running = this.#fleet.proxies;
    const turn = running.length === 0 ? this.#last : settledTurn(running);
    if (!turn) return;
    const { mesh, findings } = turn;
    const proxies = running.map(({ identity, settled }) => {
      const { publication, refused } = settled!;
      return { identity, version: publication.set.version, refusals: refused, resources: publication.resources };
    });
    const report: Report = { snapshot: mesh.snapshot.version, findings, proxies, mesh };
    const refusals = proxies.flatMap((proxy) => proxy.refusals.map(({ resource, message }) => `${resource}: ${message}`)).join('\n');
    const found = this.report !== undefined && (this.report.findings !== findings || refusals !== this.#refusals);
    this.#refusals = refusals;
    this.report = report;
    this.#fleet.retire(turn.number);
    const news = turn.number > this.#settled;
    this.#settled = turn.number;
    if (news) this.#options.inForce?.(report);
    else if (found) this.#options.found?.();
    const done = this.#waiting.filter((waiting) => waiting.turn <= turn.number);
    this.#waiting = this.#waiting.filter((waiting) => waiting.turn > turn.number);
    for (const { resolve } of done) resolve(report);
  }

  #fail(turn: number, error: unknown): void {
    const failed = this.#waiting.filter((waiting) => waiting.turn <= turn);
    this.#waiting = this.#waiting.filter((waiting) => waiting.turn > turn);
    for (const { reject } of failed) reject(error);
  }
}

function ended(): SallyportError {
  return new SallyportError('ended', 'the proxies have ended');
}
