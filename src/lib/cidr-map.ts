import { type Cidr, type IpWords, maskWords } from './ip.ts';

/** Values by range; `get` finds the value of the longest range that holds an address, else the value that was set for any address. */
export class CidrMap<T> {
  readonly #byLength: { readonly family: number; readonly length: number; readonly values: Map<string, T> }[] = [];
  #any: T | undefined;

  /** The value of the range, made by `create` when it is new. An undefined range stands for any address, and for a connection without one. */
  ensure(range: Cidr | undefined, create: () => T): T {
    if (!range) {
      this.#any ??= create();
      return this.#any;
    }
    const family = range.words.length;
    let level = this.#byLength.find((entry) => entry.family === family && entry.length === range.length);
    if (!level) {
      level = { family, length: range.length, values: new Map() };
      this.#byLength.push(level);
      this.#byLength.sort((a, b) => b.length - a.length);
    }
    const key = range.words.join(':');
    const known = level.values.get(key);
    if (known !== undefined) return known;
    const value = create();
    level.values.set(key, value);
    return value;
  }

  get(ip: IpWords | undefined): T | undefined {
    if (ip) {
      for (const level of this.#byLength) {
        if (level.family !== ip.length) continue;
        const value = level.values.get(
          level.family === 1
            ? String((ip[0]! & (level.length === 0 ? 0 : 0xffffffff << (32 - level.length))) >>> 0)
            : maskWords(ip, level.length).join(':'),
        );
        if (value !== undefined) return value;
      }
    }
    return this.#any;
  }

  get size(): number {
    return this.#byLength.reduce((sum, level) => sum + level.values.size, 0) + (this.#any === undefined ? 0 : 1);
  }
}
