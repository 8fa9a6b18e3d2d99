/** The command line from the sources, whether or not there is a build beside them. */
import { main } from '../../src/cli/main.ts';

await main(process.argv.slice(2));
