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

  constructor(status: number | undefined, flat: string[] = []) {
    super(flat);
    this.status = status;
  }

  override set(name: string, value: string): void {
    this.#gone.add(name);
    super.set(name, value);
  }

  override remove(name: string): void {
    this.#gone.add(name);
    super.remove(name);
  }

  /** `passed`: the response is another's. In formats a server's answer counts as 200; a proxy's own has no status yet. */
  mutate(mutations: HeaderMutations | undefined, record: FormatRecord, passed: boolean): void {
    mutations?.apply(this, { ...record, responseHeaders: this, responseCode: passed ? (this.status ?? 200) : 0 });
  }

  seen(): SeenResponse {
    const { status } = this;
    const headers = [...this].map(([name, value]): SeenHeader => {
      const isFirst = [...this].find(([other]) => other === name)?.[1] === value;
      return { name, value, how: status === undefined && this.#gone.has(name) && isFirst ? 'set' : 'added' };
    });
    // A proxy's own answer has nothing else that could be taken away.
    const removed = status === undefined ? [...this.#gone].filter((name) => !this.has(name)).sort() : [];
    return { status, headers, removed };
  }
}

/** What one proxy does to a response that passes it. */
export type OnResponse = (response: Response) => void;
