/** Numbers for ages: they grow along a list, and what has one keeps it as long as it can, since a new number makes a new object. */

export interface Numbered {
  order: number | undefined;
}

/** Beyond this numbers are given anew from 0; what is laid over a snapshot is numbered from here on. */
export const HIGHEST_ORDER = 2 ** 32;

/** Numbers the list. One that is new gets a number between its neighbours'; where there is none left in between, all are numbered anew. */
export function numberInOrder(list: readonly Numbered[]): void {
  if (!list.every(({ order }, index) => order !== undefined && (index === 0 || list[index - 1]!.order! < order))) {
    const staying = longestGrowing(list);
    if (!fillGaps(list, staying)) for (const [index, item] of list.entries()) item.order = index;
  }
}

/** Numbers those that do not stay; false if that can't be done. */
function fillGaps(list: readonly Numbered[], staying: ReadonlySet<Numbered>): boolean {
  let last: number | undefined;
  for (let start = 0; start < list.length; ) {
    let end = start;
    while (end < list.length && !staying.has(list[end]!)) end++;
    const next = list[end]?.order;
    const count = end - start;
    for (let i = 0; i < count; i++) {
      const order = numberBetween(last, next, i, count);
      if (last !== undefined && order <= last) return false;
      list[start + i]!.order = order;
      last = order;
    }
    if (next !== undefined && last !== undefined && next <= last) return false;
    last = next ?? last;
    start = end + 1;
  }
  return Math.abs(list[0]?.order ?? 0) < HIGHEST_ORDER && (last ?? 0) < HIGHEST_ORDER;
}

/** Number `index` of `count` that are evenly spread between two others, or follow or come before one in steps of 1. */
function numberBetween(last: number | undefined, next: number | undefined, index: number, count: number): number {
  if (next === undefined) return (last ?? -1) + 1;
  if (last === undefined) return next - (count - index);
  return last + (next - last) / (count - index + 1);
}

/** As many as possible of those with a number, such that their numbers grow (a longest increasing subsequence). */
function longestGrowing(list: readonly Numbered[]): ReadonlySet<Numbered> {
  const numbered = list.filter(({ order }) => order !== undefined);
  // tails[n] ends the growing run of n + 1 items with the smallest last number; before[i] is what item i follows in its run.
  const tails: number[] = [];
  const before: (number | undefined)[] = [];
  for (const [index, { order }] of numbered.entries()) {
    let [low, high] = [0, tails.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbered[tails[middle]!]!.order! < order!) low = middle + 1;
      else high = middle;
    }
    before.push(low > 0 ? tails[low - 1] : undefined);
    tails[low] = index;
  }
  const found = new Set<Numbered>();
  for (let index = tails.at(-1); index !== undefined; index = before[index]) found.add(numbered[index]!);
  return found;
}
