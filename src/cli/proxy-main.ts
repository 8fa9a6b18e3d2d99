/** The command line of `proxy` alone, which the build has as one file with its compiled code (`bin/compiled.js`). */
import { table } from '../lib/table.ts';
import { runProgram } from './program.ts';
import { proxyCommand } from './proxy.ts';

/** As `main.ts` has it, for a command line that begins with `proxy`. */
export const main = (argv: readonly string[]): Promise<void> =>
  runProgram(argv, table({ proxy: async () => proxyCommand() }), async () => []);
