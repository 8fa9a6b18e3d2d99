/** A file of statements: a YAML list. */
import { parse } from 'yaml';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Statement } from '../simulate/verify.ts';
import { FORMS, type StatementFile, statementOf } from './statements.ts';

export interface ParsedStatements {
  readonly statements: readonly Statement[];
  /** Configurations that this one is to be equivalent to: a path or `git:REV[:PATH]` each. */
  readonly equivalentTo: readonly string[];
  readonly egressPolicies: boolean;
}

/** Parses a file's text; `file` names it in messages. Throws `statements-invalid`. */
export function parseStatements(text: string, file: string, isGateway: (proxy: string) => boolean): ParsedStatements {
  let list: unknown;
  try {
    list = parse(text);
  } catch (error) {
    throw new SallyportError('statements-invalid', `${file}: ${messageOf(error)}`, { cause: error });
  }
  if (!Array.isArray(list) || list.length === 0)
    throw new SallyportError('statements-invalid', `${file}: write a list of statements, at least one, each ${FORMS}`);
  const equivalentTo = list.flatMap((entry: StatementFile) => (typeof entry?.equivalentTo === 'string' ? [entry.equivalentTo] : []));
  const statements = list.flatMap((entry: StatementFile, i) =>
    typeof entry?.equivalentTo === 'string' || entry?.egressPolicies === true
      ? []
      : [statementOf(entry, `${file}: statement ${i + 1}`, isGateway)],
  );
  const egressPolicies = list.some((entry: StatementFile) => entry?.egressPolicies === true);
  return { statements, equivalentTo, egressPolicies };
}
