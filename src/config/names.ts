import { type Holding, keptAlone } from './holding.ts';

/** How many objects there are of each name, so that to find those that stand twice no snapshot has to look all names up. */
export class Names {
  readonly #counts = new Map<string, number>();
  readonly #shared = new Set<string>();

  /** Takes note of what a file held and what it holds. */
  replace(before: Holding | undefined, after: Holding | undefined): void {
    this.#add(before, -1);
    this.#add(after, 1);
  }

  /** Whether several objects have the name. */
  isShared(key: string): boolean {
    return this.#shared.size > 0 && this.#shared.has(key);
  }

  #add(holding: Holding | undefined, change: 1 | -1): void {
    if (!holding) return;
    for (const { key } of [...holding.entries, ...keptAlone(holding)]) {
      const count = (this.#counts.get(key) ?? 0) + change;
      if (count > 0) this.#counts.set(key, count);
      else this.#counts.delete(key);
      if (count > 1) this.#shared.add(key);
      else this.#shared.delete(key);
    }
  }
}
