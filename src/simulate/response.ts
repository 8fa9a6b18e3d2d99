/** What becomes of a response on its way back through the proxies. What the server itself answers is not known, only what is changed of it. Pure. */
import type { FormatRecord } from '../http/format/record.ts';
import { HeaderMap } from '../http/header-map.ts';
import type { HeaderMutations } from '../http/routes/route.ts';

export interface SeenHeader {
  readonly name: string;
  readonly value: string;
  /** `added` beside what the server may have sent under the name, `set` in its place. */
  readonly how: 'added' | 'set';
}

/** An HTTP response as the application sees it. */
export interface SeenResponse {
  /** Undefined: the server's. */
  readonly status: number | undefined;
  /** Those that proxies gave it by configuration, in order. */
  readonly headers: readonly SeenHeader[];
  /** Names of the server's headers that proxies take away, sorted. */
  readonly removed: readonly string[];
}

/** A response under way: changed by one proxy after the other, from the last to the first. */
export class Response extends HeaderMap {
  readonly status: number | undefined;
  /** Names of which nothing that the server sent is left. */
  readonly #gone = new Set<string>();
  /** Names that proxies have set or removed by themselves, without being configured to, as the last that was done to them. */
  readonly #ofProxies = new Set<string>();
  #configured = false;

  constructor(status: number | undefined, flat: string[] = []) {
    super(flat);
    this.status = status;
  }

  override append(name: string, value: string): void {
    this.#touched(name);
    super.append(name, value);
  }

  override set(name: string, value: string): void {
    this.#touched(name);
    this.#gone.add(name);
    super.set(name, value);
  }

  override remove(name: string): void {
    this.#touched(name);
    this.#gone.add(name);
    super.remove(name);
  }

  /** What is changed meanwhile is changed by configuration, and so to be told. */
  configured(change: () => void): void {
    this.#configured = true;
    change();
    this.#configured = false;
  }

  /** By the route, of another's response. In formats a server's answer counts as 200. */
  mutate(mutations: HeaderMutations | undefined, record: FormatRecord): void {
    const responseCode = this.status ?? 200;
    this.configured(() => mutations?.apply(this, { ...record, responseHeaders: this, responseCode }));
  }

  #touched(name: string): void {
    if (this.#configured) this.#ofProxies.delete(name);
    else this.#ofProxies.add(name);
  }

  seen(): SeenResponse {
    const { status } = this;
    const told = [...this].filter(([name]) => !this.#ofProxies.has(name));
    const headers = told.map(([name, value]): SeenHeader => {
      const isFirst = [...this].find(([other]) => other === name)?.[1] === value;
      return { name, value, how: status === undefined && this.#gone.has(name) && isFirst ? 'set' : 'added' };
    });
    // A proxy's own answer has nothing else that could be taken away.
    const removed = status === undefined ? [...this.#gone].filter((name) => !this.has(name) && !this.#ofProxies.has(name)).sort() : [];
    return { status, headers, removed };
  }
}

/** What one proxy does to a response that passes it. */
export type OnResponse = (response: Response) => void;
