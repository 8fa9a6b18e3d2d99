/** `sallyport schema`: JSON Schema for editors. */

import { Command } from 'commander';
import { KINDS, type Kind } from '../api/index.ts';
import { allowListSchema, jsonSchema } from '../api/json-schema.ts';
import { auditLineSchema } from '../audit/schema.ts';
import { flowSchema } from '../flows/schema.ts';
import { SallyportError } from '../lib/errors.ts';
import { closest } from '../lib/spelling.ts';
import { table } from '../lib/table.ts';
import { printData } from './print.ts';

/** What is no object of Kubernetes: what `run --policy` reads, and the lines of `GET /flows` and of audits. */
const OTHERS: Readonly<Record<string, () => object>> = table({ AllowList: allowListSchema, AuditLine: auditLineSchema, Flow: flowSchema });

const ALL = [...Object.keys(KINDS), ...Object.keys(OTHERS)];

export function schemaCommand(): Command {
  return new Command('schema')
    .summary('JSON Schema of the resources, for editors')
    .description('Prints the JSON Schema of one kind, or of all that Sallyport reads (a document is then told by its kind).')
    .argument('[kind]')
    .action((kind: string | undefined) => {
      const other = kind !== undefined && Object.hasOwn(OTHERS, kind) ? OTHERS[kind] : undefined;
      if (other) {
        printData(`${JSON.stringify(other(), undefined, 2)}\n`);
        return;
      }
      if (kind !== undefined && !Object.hasOwn(KINDS, kind)) {
        const near = closest(kind, ALL);
        throw new SallyportError('usage', `there is no kind ${kind}; ${near ? `did you mean ${near}?` : `there are ${ALL.join(', ')}.`}`);
      }
      printData(`${JSON.stringify(jsonSchema(kind === undefined ? undefined : [kind as Kind]), undefined, 2)}\n`);
    });
}
