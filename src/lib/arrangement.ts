/** How a list is put in order, by what its members say of themselves: worked out again only when they say something else. */
export class Arrangement<T, A> {
  readonly #saysTheSame: (a: T, b: T) => boolean;
  readonly #arrange: (list: readonly T[]) => A;
  #last: { readonly list: readonly T[]; readonly arranged: A } | undefined;

  /** @param arrange may read of the members only what `saysTheSame` compares */
  constructor(saysTheSame: (a: T, b: T) => boolean, arrange: (list: readonly T[]) => A) {
    this.#saysTheSame = saysTheSame;
    this.#arrange = arrange;
  }

  of(list: readonly T[]): A {
    const last = this.#last;
    const same =
      last?.list.length === list.length && list.every((member, i) => member === last.list[i] || this.#saysTheSame(member, last.list[i]!));
    const arranged = same ? last.arranged : this.#arrange(list);
    this.#last = { list, arranged };
    return arranged;
  }
}
