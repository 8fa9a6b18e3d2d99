/** Number of single-character edits, transpositions counted as one, between two words; stops counting above `limit`. */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  const width = b.length + 1;
  let before = new Uint16Array(width);
  let previous = new Uint16Array(width);
  let row = new Uint16Array(width);
  for (let j = 0; j < width; j++) previous[j] = j;
  for (let i = 1; i <= a.length; i++) {
    row[0] = i;
    let least = i;
    for (let j = 1; j < width; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1);
      let cost = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1))
        cost = Math.min(cost, before[j - 2]! + 1);
      row[j] = cost;
      if (cost < least) least = cost;
    }
    // A transposition goes back two rows, for one edit more.
    if (least > limit + 1) return limit + 1;
    [before, previous, row] = [previous, row, before];
  }
  return previous[b.length]!;
}

const plain = (word: string) => word.toLowerCase().replaceAll(/[-_.]/g, '');

/** The candidate that `word` is probably a misspelling of, ignoring case and separators; undefined if none is near enough. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, plain(candidate), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** How many comparisons a list of names may cost; beyond that only names that share all labels but one are compared. */
const COMPARISONS = 50_000;

/** So many names that differ in one label are a family of names, not misspellings of one. */
const FAMILY = 100;

/** Finds what names were probably meant to be, among many and for many: a name that shares all labels but one is found without a search. */
export class Suggestions {
  readonly #names: readonly string[];
  readonly #answers = new Map<string, string | undefined>();
  #byLabels: ReadonlyMap<string, readonly string[]> | undefined;
  #comparisons = 0;

  /** @param names host names, or other names with dots between their parts. */
  constructor(names: readonly string[]) {
    this.#names = [...new Set(names)];
  }

  /** As `closest`; with very many names and questions only names that differ in one label are found. */
  near(name: string): string | undefined {
    if (this.#answers.has(name)) return this.#answers.get(name);
    const answer = this.#find(name);
    this.#answers.set(name, answer);
    return answer;
  }

  #find(name: string): string | undefined {
    if (this.#comparisons + this.#names.length <= COMPARISONS) {
      this.#comparisons += this.#names.length;
      return closest(name, this.#names);
    }
    this.#byLabels ??= byLabels(this.#names);
    const alike = labelKeys(name).flatMap((key) => {
      const found = this.#byLabels!.get(key) ?? [];
      return found.length > FAMILY ? [] : found;
    });
    return closest(name, alike);
  }
}

function byLabels(names: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    for (const key of labelKeys(name)) {
      const list = found.get(key);
      if (list) list.push(name);
      else found.set(key, [name]);
    }
  }
  return found;
}

/** Each text that remains of a name when one of its labels is taken out. */
function labelKeys(name: string): string[] {
  const labels = name.split('.');
  return labels.map((_, i) => labels.toSpliced(i, 1, '').join('.'));
}
