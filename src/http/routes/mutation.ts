/** Header changes of routes: removals first, then additions whose values come from formats. Envoy's order and rules (HeaderParser). */

import { SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import type { HeaderValueOption, HeaderValueOption_HeaderAppendAction } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { FormatContext } from '../format/operator.ts';
import type { FormatRecord } from '../format/record.ts';
import { compileText, isLiteral, type TextFormatter } from '../format/text.ts';
import type { HeaderMap } from '../header-map.ts';
import { fieldBytes, isFieldValue } from '../outgoing-problem.ts';
import type { HeaderMutations, PseudoHeaderTarget } from './model.ts';

type Action = 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists';

interface Addition {
  readonly name: string;
  readonly action: Action;
  readonly keepEmpty: boolean;
  readonly literal: string | undefined;
  readonly format: TextFormatter;
}

const ACTIONS: readonly Action[] = ['append', 'add-if-absent', 'overwrite', 'overwrite-if-exists'];

/** One level's changes (route, virtual host, …). Undefined where there are none. Throws `xds-invalid` and `xds-unsupported` for bad formats. */
export function compileMutations(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  context: FormatContext,
): HeaderMutations | undefined {
  if (add.length === 0 && remove.length === 0) return undefined;
  const removals = remove.map((name) => name.toLowerCase());
  for (const name of removals) {
    if (name.startsWith(':') || name === 'host') throw new SallyportError('xds-invalid', `header "${name}" may not be removed`);
  }
  return new Level(
    removals,
    add.map((option) => compileAddition(option, context)),
  );
}

/** Several levels as one, in this order. */
export function chainMutations(levels: readonly (HeaderMutations | undefined)[]): HeaderMutations | undefined {
  const present = levels.filter((level) => level !== undefined);
  if (present.length < 2) return present[0];
  return {
    apply(headers, record, target) {
      for (const level of present) level.apply(headers, record, target);
    },
  };
}

function compileAddition(option: HeaderValueOption, context: FormatContext): Addition {
  const name = option.header?.key.toLowerCase() ?? '';
  if (name === '') throw new SallyportError('xds-invalid', 'a header to add has no name');
  const raw = option.header!.value !== '' ? fieldBytes(option.header!.value) : Buffer.from(option.header!.rawValue).toString('latin1');
  const action = actionOf(option, name);
  if (PSEUDO[name] && action === 'append') throw new SallyportError('xds-invalid', `header "${name}" may be overwritten, not appended to`);
  if (name.startsWith(':') && !PSEUDO[name]) throw new SallyportError('xds-invalid', `header "${name}" may not be changed`);
  const format = compileText(raw, context, true);
  return { name, action, keepEmpty: option.keepEmptyValue, literal: isLiteral(raw) ? raw.replaceAll('%%', '%') : undefined, format };
}

function actionOf(option: HeaderValueOption, name: string): Action {
  if (option.append !== undefined) return option.append ? 'append' : 'overwrite';
  const action = ACTIONS[option.appendAction];
  if (action === undefined)
    throw new SallyportError(
      'xds-invalid',
      `header "${name}": append_action ${String(option.appendAction satisfies HeaderValueOption_HeaderAppendAction)} is not known`,
    );
  return action;
}

const PSEUDO: Readonly<Record<string, 'authority' | 'path' | 'method' | undefined>> = table({
  host: 'authority',
  ':authority': 'authority',
  ':path': 'path',
  ':method': 'method',
});

class Level implements HeaderMutations {
  readonly #removals: readonly string[];
  /** As they are made: what overwrites comes first. */
  readonly #additions: readonly Addition[];
  readonly #literal: boolean;
  /** Whether some depend on what is there. */
  readonly #conditional: boolean;

  constructor(removals: readonly string[], additions: readonly Addition[]) {
    this.#removals = removals;
    this.#additions = [...additions.filter(overwrites), ...additions.filter((each) => !overwrites(each))];
    this.#literal = additions.every(({ literal }) => literal !== undefined);
    this.#conditional = additions.some(({ action }) => action === 'add-if-absent' || action === 'overwrite-if-exists');
  }

  apply(headers: HeaderMap, record: FormatRecord, target?: PseudoHeaderTarget): void {
    for (const name of this.#removals) headers.remove(name);
    const additions = this.#additions;
    // All values are formed from the headers as they were before the first addition.
    const values = this.#literal ? undefined : additions.map((addition) => addition.literal ?? addition.format(record));
    const present = this.#conditional ? additions.map(({ name }) => headers.has(name) || PSEUDO[name] !== undefined) : undefined;
    for (let i = 0; i < additions.length; i++) {
      const addition = additions[i]!;
      const { name, action, keepEmpty, literal } = addition;
      if (action === 'overwrite-if-exists' && !present![i]) continue;
      if (action === 'add-if-absent' && present![i]) continue;
      const value = values ? values[i]! : literal!;
      if (value === '' && !keepEmpty) continue;
      // A request that has what cannot be in it is refused before it is sent; an answer goes on without.
      if (values && !target && !isFieldValue(value)) continue;
      const pseudo = PSEUDO[name];
      if (pseudo) {
        if (target) target[pseudo] = value;
      } else if (overwrites(addition)) headers.set(name, value);
      else headers.append(name, value);
    }
  }
}

function overwrites({ action }: Addition): boolean {
  return action === 'overwrite' || action === 'overwrite-if-exists';
}
