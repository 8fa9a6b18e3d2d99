/** A file of statements: a YAML list. */
import { parse } from 'yaml';
import { isMapping } from '../api/decode.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
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
  const entries = list.map((entry: StatementFile, i) => ({ entry, where: `${file}: statement ${i + 1}` }));
  for (const { entry, where } of entries) refuseUnread(entry, where);
  const equivalentTo = entries.flatMap(({ entry }) => (typeof entry?.equivalentTo === 'string' ? [entry.equivalentTo] : []));
  const statements = entries.flatMap(({ entry, where }) =>
    typeof entry?.equivalentTo === 'string' || entry?.egressPolicies === true ? [] : [statementOf(entry, where, isGateway)],
  );
  const egressPolicies = entries.some(({ entry }) => entry?.egressPolicies === true);
  return { statements, equivalentTo, egressPolicies };
}

/** What stands within each form of statement. */
const FIELDS = table<readonly string[]>({
  onlyWorkloads: ['host', 'workloads'],
  onlyTls: ['host', 'verified'],
  nothingLeaves: ['namespace'],
  onlyThroughGateways: [],
  onlyThroughProxy: [],
  egressPolicies: [],
  equivalentTo: [],
});

/** Refuses what nobody would read of an entry: a verdict must not stand for a statement that was not looked at. Throws `statements-invalid`. */
function refuseUnread(entry: unknown, where: string): void {
  if (!isMapping(entry)) return;
  const refuse = (why: string) => {
    throw new SallyportError('statements-invalid', `${where}: ${why}`);
  };
  const forms = Object.keys(entry);
  if (forms.length > 1) refuse(`it has ${forms.join(' and ')}: write one statement an entry`);
  for (const form of forms) {
    const fields = FIELDS[form];
    const said = entry[form];
    if (!fields || !isMapping(said)) continue;
    const unread = Object.keys(said).find((name) => !fields.includes(name));
    if (unread !== undefined) refuse(`${form} has no field ${unread}${fields.length > 0 ? `: it has ${fields.join(' and ')}` : ''}`);
    if (said.verified !== undefined && typeof said.verified !== 'boolean') refuse('verified is true or false');
  }
}
