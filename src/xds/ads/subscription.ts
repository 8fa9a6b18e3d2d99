/**
 * One type of resources on one stream: what the client asked for, what it has, and what it made of what it was sent. At most one response is on its way,
 * and the next one leads straight to the newest list. What the client has is kept as the list that it stands at and the names that differ from it, so
 * that a thousand streams at one list hold little more than that list.
 */
import { SallyportError } from '../../lib/errors.ts';
import type { EncodedList } from '../resource-table.ts';
import type { EncodedResource, ResourceType } from '../resources.ts';
import { EMPTY_SET, listIn, versionOf, versionOfAll } from '../update.ts';
import { differenceBetween } from './difference.ts';

/** Asks for everything, alone or beside names. */
export const WILDCARD = '*';

/** What is to be sent. */
export interface Batch {
  readonly resources: readonly EncodedResource[];
  /** Names of what there is no more, or never was. */
  readonly removed: readonly string[];
  /** Those of the resources that the client does not have in this version. */
  readonly changed: readonly EncodedResource[];
  /** Of all that the client has then. */
  readonly version: string;
}

export interface Refusal {
  /** The client's own words. */
  readonly message: string;
  /** Everything in the response that it refused; it may have taken parts of it. */
  readonly resources: readonly EncodedResource[];
}

export type State = 'not sent' | 'synced' | 'stale' | 'nack';

export interface SubscriptionOptions {
  /** Undefined for a type that nobody here has. */
  readonly type: ResourceType | undefined;
  readonly protocol: Protocol;
  /** Names that one client may ask for. */
  readonly mostNames: number;
}

/** State of the world, or incremental. */
export type Protocol = 'sotw' | 'delta';

/** Of these a first request that names nothing asks for everything. */
const LEGACY_WILDCARD: readonly (ResourceType | undefined)[] = ['cluster', 'listener', 'virtualHost', 'nameTable'];
/** Of these a state of the world has everything: what is not in it the client drops. Of others it has what is new. */
const WHOLE: readonly (ResourceType | undefined)[] = ['cluster', 'listener'];

/** The client has something of this name, nobody knows what. */
const UNKNOWN = '?';
const NOTHING = '';

export class Subscription {
  readonly type: ResourceType | undefined;
  readonly #protocol: Protocol;
  /** Each response has everything. */
  readonly #whole: boolean;
  readonly #mostNames: number;
  /** What is to be served; unknown types have nothing. */
  #list: EncodedList;
  #begun = false;
  #wildcard = false;
  /** It named something once: to name nothing then is to ask for nothing. */
  #explicit = false;
  readonly #names = new Set<string>();
  /** The client is here with all that it asked for, but for the names in `#differing`, of which it has another version. */
  #at: EncodedList;
  #differing = new Map<string, string>();
  /** Of a whole state: what is gone, and stays in the responses until nothing needs it any more. */
  #held = new Map<string, EncodedResource>();
  /** A response is owed even if there is nothing in it. */
  #due = false;
  #sent: { readonly nonce: string; readonly batch: Batch } | undefined;
  #nonce = '';
  #everSent = false;
  /** Versions that the client would not take; they are not sent again before one of them changes. */
  readonly #refused = new Map<string, string>();
  #refusal: Refusal | undefined;

  constructor({ type, protocol, mostNames }: SubscriptionOptions) {
    this.type = type;
    this.#protocol = protocol;
    this.#whole = protocol === 'sotw' && WHOLE.includes(type);
    this.#mostNames = mostNames;
    this.#list = emptyOf(type);
    this.#at = this.#list;
  }

  get busy(): boolean {
    return this.#sent !== undefined;
  }

  /** Of the newest response; empty before there is one. */
  get nonce(): string {
    return this.#nonce;
  }

  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  get state(): State {
    if (this.#refusal) return 'nack';
    const { changed, removed, absent } = this.#changes();
    if (this.#sent || this.#due || changed.length + removed.length + absent.length > 0) return 'stale';
    return this.#everSent || this.#wildcard || this.#names.size > 0 ? 'synced' : 'not sent';
  }

  /** The newest list from now on. */
  serve(list: EncodedList): void {
    this.#list = list;
    for (const [name, version] of this.#refused) {
      if ((list.get(name)?.version ?? NOTHING) === version) continue;
      this.#refused.clear();
      this.#refusal = undefined;
      return;
    }
  }

  /** State of the world: a request's names. @param version what the client says it has, of the first request on a stream */
  ask(names: readonly string[], version: string): void {
    const first = !this.#begun;
    this.#begun = true;
    if (names.length > 0) this.#explicit = true;
    const wildcard = names.includes(WILDCARD) || (!this.#explicit && LEGACY_WILDCARD.includes(this.type));
    const wanted = new Set(names.filter((name) => name !== WILDCARD));
    this.#checkCount(wanted.size);
    if (first) {
      this.#wildcard = wildcard;
      for (const name of wanted) this.#add(name);
      const knows = version !== '' && version === this.#versionNow();
      if (knows) this.#at = this.#list;
      else this.#due = wildcard || wanted.size > 0;
      return;
    }
    if (wildcard && !this.#wildcard) this.#startOver();
    this.#wildcard = wildcard;
    for (const name of this.#names) if (!wanted.has(name)) this.#drop(name);
    for (const name of wanted) {
      if (this.#names.has(name)) continue;
      if (!wildcard) this.#differing.set(this.#add(name), NOTHING);
      else this.#add(name);
      this.#due = true;
    }
  }

  /** Incremental: a change of what is asked for. @param versions what the client has, of the first request on a stream */
  change(subscribe: readonly string[], unsubscribe: readonly string[], versions: ReadonlyMap<string, string>): void {
    const first = !this.#begun;
    this.#begun = true;
    const legacy = first && subscribe.length === 0 && LEGACY_WILDCARD.includes(this.type);
    if (subscribe.includes(WILDCARD) || legacy) this.#beginWildcard(versions);
    for (const name of subscribe) {
      if (name === WILDCARD) continue;
      // Whoever subscribes again may have forgotten what it had: it is sent again.
      this.#differing.set(this.#add(name), (first ? versions.get(name) : undefined) ?? NOTHING);
      this.#checkCount(this.#names.size);
    }
    for (const name of unsubscribe) {
      if (name === WILDCARD) this.#wildcard = false;
      else if (this.#wildcard) this.#giveBack(name);
      else this.#drop(name);
    }
    if (first && !this.#wildcard) this.#at = this.#list;
  }

  /** The client has to get this again if it has asked for it. */
  again(name: string): void {
    if (this.#covers(name) && this.#list.get(name)) this.#differing.set(name, NOTHING);
  }

  /** The client has to get all of these folders again that it has asked for. */
  againIn(folders: ReadonlySet<string>): void {
    for (const { name } of this.#list.all) if (folders.has(name.slice(0, name.indexOf('/')))) this.again(name);
  }

  /** Whether there is something to send. @param remove whether what is gone may be taken from the client yet */
  pending(remove: boolean): boolean {
    const { changed, removed, absent } = this.#changes();
    return this.#due || changed.length + absent.length > 0 || (remove && removed.length > 0);
  }

  /** What is to be sent next, if anything; `remove` as with `pending`. */
  next(remove: boolean): Batch | undefined {
    const { changed, removed, absent } = this.#changes();
    // The list that it stood at is not kept for nothing.
    if (changed.length + removed.length + absent.length === 0) this.#at = this.#list;
    if (!this.pending(remove)) return undefined;
    const resources = this.#whole ? this.#wholeState(remove ? [] : removed) : changed;
    return { resources, removed: remove ? [...removed, ...absent] : absent, changed, version: this.#versionNow() };
  }

  /** The batch is on its way. */
  sent(batch: Batch, nonce: string): void {
    const taken = new Set(batch.removed);
    const kept = this.#changes().removed.filter((name) => !taken.has(name));
    this.#held = new Map(
      kept.flatMap((name) => {
        const before = this.#held.get(name) ?? this.#at.get(name);
        return before ? [[name, before]] : [];
      }),
    );
    this.#differing = new Map([...this.#refusedBeside(batch, taken), ...kept.map((name) => [name, UNKNOWN] as const)]);
    this.#at = this.#list;
    this.#due = false;
    this.#sent = { nonce, batch };
    this.#nonce = nonce;
    this.#everSent = true;
  }

  /** What differs because it was refused, and is not in the batch. */
  #refusedBeside({ resources }: Batch, taken: ReadonlySet<string>): readonly (readonly [string, string])[] {
    if (this.#refused.size === 0) return [];
    const there = new Set(resources.map(({ name }) => name));
    return [...this.#differing].filter(([name]) => this.#refused.has(name) && !there.has(name) && !taken.has(name));
  }

  /** Whether a request answers the newest response, or is the first; others were under way when that was sent. */
  isCurrent(nonce: string): boolean {
    return !this.#begun || nonce === '' || nonce === this.#nonce;
  }

  /** The client has answered a response, with what it says of a refusal. Returns the refusal. */
  answered(nonce: string, error: string | undefined): Refusal | undefined {
    if (!this.#sent || this.#sent.nonce !== nonce) return undefined;
    const { resources, removed } = this.#sent.batch;
    this.#sent = undefined;
    if (error === undefined) {
      if (this.#refused.size > 0) for (const { name } of resources) this.#refused.delete(name);
      if (this.#refused.size === 0) this.#refusal = undefined;
      return undefined;
    }
    for (const { name, version } of resources) this.#refuse(name, version);
    for (const name of removed) this.#refuse(name, NOTHING);
    this.#refusal = { message: error, resources };
    return this.#refusal;
  }

  #refuse(name: string, version: string): void {
    if (!this.#differing.has(name)) this.#differing.set(name, UNKNOWN);
    // Replaced while it was on its way: the newer one is tried.
    if ((this.#list.get(name)?.version ?? NOTHING) === version) this.#refused.set(name, version);
  }

  #changes(): {
    readonly changed: readonly EncodedResource[];
    readonly removed: readonly string[];
    /** What the client asked for and never had: it may wait for the word that there is nothing. */
    readonly absent: readonly string[];
  } {
    let changed: readonly EncodedResource[] = [];
    let removed: string[] = [];
    const absent: string[] = [];
    const differs = (name: string) => this.#differing.has(name);
    if (this.#at !== this.#list) {
      const difference = differenceBetween(this.#at, this.#list);
      const all = this.#wildcard && this.#differing.size === 0;
      const concerns = ({ name }: EncodedResource) => all || (this.#covers(name) && !differs(name));
      changed = all ? difference.changed : filtered(difference.changed, concerns);
      removed = difference.removed.filter(concerns).map(({ name }) => name);
    }
    const others: EncodedResource[] = [];
    for (const [name, version] of this.#differing) {
      const resource = this.#list.get(name);
      if (this.#refused.get(name) === (resource?.version ?? NOTHING)) continue;
      if (!resource) {
        if (version !== NOTHING) removed.push(name);
        else if (this.#protocol === 'delta') absent.push(name);
      } else if (resource.version !== version) others.push(resource);
    }
    // A state of the world that does not have everything cannot say what is gone.
    if (this.#protocol === 'sotw' && !this.#whole) removed = [];
    return { changed: others.length > 0 ? [...changed, ...others] : changed, removed, absent };
  }

  /** Everything that the client asked for, and what is kept back from removal. */
  #wholeState(kept: readonly string[]): readonly EncodedResource[] {
    const all = this.#wildcard ? this.#list.all : filtered(this.#list.all, ({ name }) => this.#covers(name));
    const held = kept.flatMap((name) => this.#held.get(name) ?? this.#at.get(name) ?? []);
    return held.length > 0 ? [...all, ...held] : all;
  }

  /** Of what the client has when it stands at the list: in a state of the world, by which it is known again. */
  #versionNow(): string {
    if (this.#wildcard || this.#protocol === 'delta') return versionOf(this.#list);
    return versionOfAll(this.#list.all.filter(({ name }) => this.#covers(name)));
  }

  #covers(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  /** Returns the name, as the list has it where it does: names of a thousand streams are then one string. */
  #add(name: string): string {
    const shared = this.#list.get(name)?.name ?? name;
    this.#names.add(shared);
    return shared;
  }

  #drop(name: string): void {
    this.#names.delete(name);
    if (this.#wildcard) return;
    this.#differing.delete(name);
    this.#held.delete(name);
    this.#refused.delete(name);
    if (this.#refused.size === 0) this.#refusal = undefined;
  }

  /** Everything is asked for still: it is sent again; that there is none need not be told. */
  #giveBack(name: string): void {
    if (!this.#names.delete(name)) return;
    if (this.#list.get(name)) this.#differing.set(name, NOTHING);
    else if (this.#differing.get(name) === NOTHING) this.#differing.delete(name);
  }

  #beginWildcard(versions: ReadonlyMap<string, string>): void {
    if (this.#wildcard) return;
    this.#checkCount(versions.size);
    this.#startOver();
    this.#wildcard = true;
    if (versions.size === 0) {
      this.#due = true;
      return;
    }
    this.#at = this.#list;
    for (const { name, version } of this.#list.all)
      if (versions.get(name) !== version) this.#differing.set(name, versions.get(name) ?? NOTHING);
    for (const [name, version] of versions) if (!this.#list.get(name)) this.#differing.set(name, version);
  }

  #startOver(): void {
    this.#at = emptyOf(this.type);
    this.#differing.clear();
    this.#held.clear();
  }

  #checkCount(count: number): void {
    if (count > this.#mostNames)
      throw new SallyportError('xds-too-much', `it subscribes to, or has, more than ${this.#mostNames} names of one type`);
  }
}

/** One for all, so that the way from it is one too. An unknown type has nothing, whatever type that is of. */
function emptyOf(type: ResourceType | undefined): EncodedList {
  return listIn(EMPTY_SET, type ?? 'cluster');
}

/** The same list where nothing is left out: what is made of it then is shared. */
function filtered<T>(list: readonly T[], holds: (one: T) => boolean): readonly T[] {
  const rest = list.filter(holds);
  return rest.length === list.length ? list : rest;
}
