/**
 * The CEL expressions that people write for access logs, as Envoy's own filters: comparisons of `response.code` and of `request.method` and the like, presence of
 * headers, `&&`, `||`, `!` and parentheses.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type AccessLogFilter, AccessLogFilterSchema, ComparisonFilter_Op } from './gen/envoy/config/accesslog/v3/accesslog_pb.js';
import type { HeaderMatcherSchema } from './gen/envoy/config/route/v3/route_components_pb.js';

type Filter = MessageInitShape<typeof AccessLogFilterSchema>;
/** Makes the filter, or the one for the opposite. */
type Term = (holds: boolean) => Filter;

/** Undefined for what is not understood. */
export function logFilter(expression: string): AccessLogFilter | undefined {
  const words = expression.match(WORD) ?? [];
  if (words.join('') !== expression.replace(SPACE, (text, quoted: string | undefined) => (quoted === undefined ? '' : text)))
    return undefined;
  const reader = new Reader(words);
  const term = reader.any();
  return term && reader.ended ? create(AccessLogFilterSchema, term(true)) : undefined;
}

const WORD = /'[^'\\]*'|"[^"\\]*"|&&|\|\||[=!<>]=|[<>!()[\]]|[A-Za-z_][\w.]*|\d+/g;
const SPACE = /('[^'\\]*'|"[^"\\]*")|\s+/g;

/** What a field of the request is called among its headers. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ['request.method', ':method'],
  ['request.host', ':authority'],
  ['request.scheme', ':scheme'],
  ['request.path', ':path'],
  ['request.useragent', 'user-agent'],
  ['request.id', 'x-request-id'],
]);

class Reader {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get ended(): boolean {
    return this.#at === this.#words.length;
  }

  any(): Term | undefined {
    return this.#joined('||', false, () => this.#joined('&&', true, () => this.#one()));
  }

  #joined(word: string, all: boolean, next: () => Term | undefined): Term | undefined {
    const terms = [next()];
    while (this.#take(word)) terms.push(next());
    if (!terms.every((term) => term !== undefined)) return undefined;
    if (terms.length === 1) return terms[0];
    // By De Morgan: the opposite of all is any of the opposites.
    return (holds) => {
      const filters = terms.map((term) => create(AccessLogFilterSchema, term(holds)));
      return { filterSpecifier: { case: all === holds ? 'andFilter' : 'orFilter', value: { filters } } };
    };
  }

  #one(): Term | undefined {
    if (this.#take('!')) {
      const term = this.#one();
      return term && ((holds) => term(!holds));
    }
    if (this.#take('(')) {
      const term = this.any();
      return this.#take(')') ? term : undefined;
    }
    const name = this.#next();
    if (name === 'response.code') return this.#code();
    if (name === 'has' && this.#take('(')) {
      const header = this.#header(this.#next());
      return header !== undefined && this.#take(')') ? present(header) : undefined;
    }
    const header = this.#header(name);
    return header === undefined ? undefined : this.#text(header);
  }

  #header(name: string | undefined): string | undefined {
    if (name !== 'request.headers')
      return FIELDS.get(name ?? '') ?? (name?.startsWith('request.headers.') ? name.slice(16).toLowerCase() : undefined);
    const text = this.#take('[') ? quoted(this.#next()) : undefined;
    return text !== undefined && this.#take(']') ? text.toLowerCase() : undefined;
  }

  #code(): Term | undefined {
    const operator = this.#next() ?? '';
    const number = Number(this.#next() ?? 'none');
    return Number.isInteger(number) && COMPARISONS.has(operator) ? (holds) => compared(operator, number, holds) : undefined;
  }

  #text(name: string): Term | undefined {
    const operator = this.#next();
    const value = quoted(this.#next());
    // Where a header is missing CEL fails, and nothing is logged: only fields that every request has can be compared safely.
    if (value === undefined || (operator !== '==' && operator !== '!=') || !name.startsWith(':')) return undefined;
    return (holds) => headerFilter({ name, invertMatch: (operator === '==') !== holds, headerMatchSpecifier: exactly(value) });
  }

  #take(word: string): boolean {
    if (this.#words[this.#at] !== word) return false;
    this.#at++;
    return true;
  }

  #next(): string | undefined {
    return this.#words[this.#at++];
  }
}

function quoted(word: string | undefined): string | undefined {
  return word && /^['"]/.test(word) ? word.slice(1, -1) : undefined;
}

const COMPARISONS: ReadonlyMap<string, string> = new Map([
  ['>=', '<'],
  ['<', '>='],
  ['<=', '>'],
  ['>', '<='],
  ['==', '!='],
  ['!=', '=='],
]);

/** Envoy compares by "at least", "at most" and "equal"; the numbers are whole. */
function compared(operator: string, number: number, holds: boolean): Filter {
  const wanted = holds ? operator : COMPARISONS.get(operator)!;
  const of = (op: ComparisonFilter_Op, defaultValue: number): Filter => ({
    filterSpecifier: { case: 'statusCodeFilter', value: { comparison: { op, value: { defaultValue, runtimeKey: 'sallyport.unset' } } } },
  });
  switch (wanted) {
    case '>=':
      return of(ComparisonFilter_Op.GE, number);
    case '>':
      return of(ComparisonFilter_Op.GE, number + 1);
    case '<=':
      return of(ComparisonFilter_Op.LE, number);
    case '==':
      return of(ComparisonFilter_Op.EQ, number);
    case '<':
      return number === 0 ? NEVER : of(ComparisonFilter_Op.LE, number - 1);
    default: {
      const above = of(ComparisonFilter_Op.GE, number + 1);
      const filters = number === 0 ? [above, NEVER] : [of(ComparisonFilter_Op.LE, number - 1), above];
      return { filterSpecifier: { case: 'orFilter', value: { filters } } };
    }
  }
}

/** No status is as large. */
const NEVER: Filter = {
  filterSpecifier: {
    case: 'statusCodeFilter',
    value: { comparison: { op: ComparisonFilter_Op.GE, value: { defaultValue: 100_000, runtimeKey: 'sallyport.unset' } } },
  },
};

function present(name: string): Term {
  return (holds) => headerFilter({ name, invertMatch: !holds, headerMatchSpecifier: { case: 'presentMatch', value: true } });
}

function exactly(value: string): MessageInitShape<typeof HeaderMatcherSchema>['headerMatchSpecifier'] {
  return { case: 'stringMatch', value: { matchPattern: { case: 'exact', value } } };
}

function headerFilter(header: MessageInitShape<typeof HeaderMatcherSchema>): Filter {
  return { filterSpecifier: { case: 'headerFilter', value: { header } } };
}
