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
    const at = this.#find(name, 0);
    return at < 0 ? undefined : this.flat[at + 1];
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
    const at = this.#find(name, 0);
    if (at < 0) {
      flat.push(name, value);
      return;
    }
    flat[at + 1] = value;
    this.#drop(name, at + 2);
  }

  remove(name: string): void {
    this.#drop(name, 0);
  }

  /** In one pass, however many names a client gives. */
  removeAll(names: ReadonlySet<string>): void {
    const { flat } = this;
    let write = 0;
    for (let read = 0; read < flat.length; read += 2) {
      if (names.has(flat[read]!)) continue;
      flat[write] = flat[read]!;
      flat[write + 1] = flat[read + 1]!;
      write += 2;
    }
    flat.length = write;
  }

  #find(name: string, from: number): number {
    const { flat } = this;
    for (let i = from; i < flat.length; i += 2) if (flat[i] === name) return i;
    return -1;
  }

  #drop(name: string, from: number): void {
    const { flat } = this;
    let write = this.#find(name, from);
    if (write < 0) return;
    for (let read = write + 2; read < flat.length; read += 2) {
      if (flat[read] === name) continue;
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
