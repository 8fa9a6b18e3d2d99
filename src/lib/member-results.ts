/** What is made of each member of a list, kept while the list changes: from one list to the next only members that are new cost something. */
export class MemberResults<T extends object, R> {
  #list: readonly T[] = [];
  #results: readonly R[] = [];

  /** What `make` makes of each member, or made of it for the list before; the same list for the same list. */
  of(list: readonly T[], make: (member: T) => R): readonly R[] {
    if (list === this.#list) return this.#results;
    const [before, results] = [this.#list, this.#results];
    let places: Map<T, number> | undefined;
    // Most stand behind the one that they stood behind before, or in the place of one that changed.
    let next = 0;
    const made = list.map((member) => {
      let place: number | undefined = next;
      if (before[next] !== member) {
        places ??= new Map(before.map((each, at) => [each, at]));
        place = places.get(member);
      }
      next = (place ?? next) + 1;
      return place === undefined ? make(member) : results[place]!;
    });
    this.#list = list;
    this.#results = made;
    return made;
  }
}
