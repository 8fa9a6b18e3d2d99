/**
 * The headers of one message: names in lower case, values as received, in order, repeats kept. A flat list `[name, value, name, value, …]`,
 * because the data plane walks it several times a request and allocates it once.
 */
export class HeaderMap {
  readonly flat: string[];

  constructor(flat: string[] = []) {
    this.flat = flat;
  }

  /** The first value of `name` (lower case), or undefined. */
  get(name: string): string | undefined {
    const { flat } = this;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Every value of `name`, in order. */
  all(name: string): string[] {
    const { flat } = this;
    const values: string[] = [];
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) values.push(flat[i + 1]!);
    return values;
  }

  append(name: string, value: string): void {
    this.flat.push(name, value);
  }

  /** Replaces every value of `name` by one, at the place of the first. */
  set(name: string, value: string): void {
    const { flat } = this;
    let kept = -1;
    let write = 0;
    for (let read = 0; read < flat.length; read += 2) {
      const same = flat[read] === name;
      if (same && kept >= 0) continue;
      if (same) kept = write;
      flat[write] = flat[read]!;
      flat[write + 1] = same ? value : flat[read + 1]!;
      write += 2;
    }
    flat.length = write;
    if (kept < 0) flat.push(name, value);
  }

  remove(name: string): void {
    if (this.get(name) !== undefined) this.#keep((other) => other !== name);
  }

  /** In one pass, however many names a client gives. */
  removeAll(names: ReadonlySet<string>): void {
    this.#keep((name) => !names.has(name));
  }

  #keep(kept: (name: string) => boolean): void {
    const { flat } = this;
    let write = 0;
    for (let read = 0; read < flat.length; read += 2) {
      if (!kept(flat[read]!)) continue;
      flat[write] = flat[read]!;
      flat[write + 1] = flat[read + 1]!;
      write += 2;
    }
    flat.length = write;
  }

  clone(): HeaderMap {
    return new HeaderMap(this.flat.slice());
  }

  *[Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    for (let i = 0; i < this.flat.length; i += 2) yield [this.flat[i]!, this.flat[i + 1]!];
  }
}
