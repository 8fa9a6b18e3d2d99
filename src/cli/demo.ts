/** `sallyport demo`: the examples, run and called, each outcome held against what the example states. */
import { Command } from 'commander';
import type { ControlEvent } from '../control/report.ts';
import type { DemoHost } from '../demo/run.ts';
import { demoVerdict, exampleText } from '../demo/table.ts';
import { messageOf } from '../lib/errors.ts';
import { paintFor } from './colours.ts';
import { EXIT } from './exit.ts';
import { print } from './print.ts';
import { engineHost, say, sayEvent } from './say.ts';

interface DemoOptions {
  readonly examples?: string;
  readonly serve: boolean;
  readonly ca?: string;
}

export function demoCommand(): Command {
  return new Command('demo')
    .summary('run the examples and make the calls that an application would')
    .description(
      'Starts stand-ins for the outside world (HTTP, HTTPS with a CA of its own, Redis), runs each example with REGISTRY_ONLY, makes its calls and prints ' +
        'their outcomes, the way they took and why. Exits with 1 if an outcome is not the one that the example states.',
    )
    .argument('[example...]', 'names of examples; all of them if none is named')
    .option('--examples <folder>', "folder with examples; the package's own if none is named")
    .option('--serve', 'only the stand-ins, until interrupted', false)
    .option('--ca <folder>', "with --serve: where to write the CA's certificate, and the Secret for examples that verify it")
    .action(async (names: string[], options: DemoOptions) => {
      const { runDemo, serveOutside } = await import('../demo/run.ts');
      if (options.serve) {
        await serveOutside(options.ca, (text) => print(`${text}\n`));
        return;
      }
      const started = performance.now();
      const paint = paintFor(process.stdout);
      const mesh = { ...engineHost, tell };
      const shown = (...example: Shown) => print(exampleText(...example, paint));
      const result = await runDemo(names, options.examples, { mesh, shown });
      print(demoVerdict(result, (performance.now() - started) / 1000, paint));
      process.exitCode = result.differing === 0 ? EXIT.fine : EXIT.findings;
    });
}

/** That another example is in force goes without saying: its calls show it. */
function tell(event: ControlEvent): void {
  if (event.kind === 'ended') say(messageOf(event.error));
  else if (event.kind !== 'in-force') sayEvent(event);
}

type Shown = Parameters<DemoHost['shown']>;
