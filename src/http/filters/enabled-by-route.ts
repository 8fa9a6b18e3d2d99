/** A filter that stands disabled in its list (`disabled`), for the routes that enable it. */
import { type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

export class EnabledByRoute implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly #filter: HttpFilter;

  constructor(filter: HttpFilter) {
    this.name = filter.name;
    this.#filter = filter;
  }

  judge(request: JudgedRequest): Judgement {
    return this.#isEnabled(request) ? this.#filter.judge(request) : PASS;
  }

  run(stream: FilterStream): FilterStatus {
    return this.#isEnabled(stream) ? this.#filter.run(stream) : 'continue';
  }

  #isEnabled({ route, head }: JudgedRequest): boolean {
    return route?.enablesFilter(this.name, head) === true;
  }
}
