/** Reads what `verify` is to prove. */
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { gatewaysOf } from '../prove/inside.ts';
import type { SimulatedFiles } from '../prove/simulated.ts';
import type { Stated } from '../prove/verify.ts';
import type { Reader, SourceOptions } from './reader.ts';

/** Reads a file of statements about `files`, and the configurations that it names. Rejects with `statements-invalid`, or what reading throws. */
export async function readStatements(reader: Reader, path: string, files: SimulatedFiles, options: SourceOptions): Promise<Stated> {
  const text = readText(path);
  const { parseStatements } = await import('../prove/statement-file.ts');
  const { statements, equivalentTo, egressPolicies } = parseStatements(text, path, gatewaysOf(files));
  const others = await Promise.all(equivalentTo.map(async (name) => ({ name, files: await reader.side(name, options) })));
  return { statements, equivalentTo: others, egressPolicies };
}

function readText(path: string): string {
  try {
    return readRegularText(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') throw new SallyportError('path-not-found', `there is no file ${path}`, { cause });
    throw new SallyportError('statements-unreadable', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
