/** `sallyport schema`: JSON Schema for editors. */

import { Command } from 'commander';
import { KINDS, type Kind } from '../api/index.ts';
import { allowListSchema, jsonSchema } from '../api/json-schema.ts';
import { SallyportError } from '../lib/errors.ts';
import { closest } from '../lib/spelling.ts';
import { printData } from './print.ts';

/** What `run --policy` reads. */
const ALLOW_LIST = 'AllowList';

export function schemaCommand(): Command {
  return new Command('schema')
    .summary('JSON Schema of the resources, for editors')
    .description('Prints the JSON Schema of one kind, or of all that Sallyport reads (a document is then told by its kind).')
    .argument('[kind]')
    .action((kind: string | undefined) => {
      if (kind === ALLOW_LIST) {
        printData(`${JSON.stringify(allowListSchema(), undefined, 2)}\n`);
        return;
      }
      if (kind !== undefined && !(kind in KINDS)) {
        const near = closest(kind, [...Object.keys(KINDS), ALLOW_LIST]);
        throw new SallyportError(
          'usage',
          `there is no kind ${kind}; ${near ? `did you mean ${near}?` : `there are ${[...Object.keys(KINDS), ALLOW_LIST].join(', ')}.`}`,
        );
      }
      printData(`${JSON.stringify(jsonSchema(kind === undefined ? undefined : [kind as Kind]), undefined, 2)}\n`);
    });
}
