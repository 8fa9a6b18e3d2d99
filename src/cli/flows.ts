/** `sallyport flows`: the calls of a running `up`, `run` or `proxy`, as they begin and end. */

import { once } from 'node:events';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type FlowLine, type FlowQuery, flowQuery, followFlows } from '../flows/client.ts';
import { type Dropped, type Flow, PROTOCOLS, VERDICTS } from '../flows/flow.ts';
import { runningShowers } from '../flows/socket.ts';
import { shownAt, shownBy } from '../flows/watched.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { flowText } from '../report/flow.ts';
import { paintFor } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption, countOption, repeatable, socketOption } from './options.ts';
import { print, printData } from './print.ts';
import { say } from './say.ts';

interface FlowsOptions extends FlowQuery {
  readonly admin?: SocketAddress;
  readonly run?: number;
  readonly output: 'text' | 'json';
}

export function flowsCommand(): Command {
  return new Command('flows')
    .summary('watch the calls of a running up, run, proxy or agent')
    .description(
      'Shows the calls of a running sallyport up, run, proxy or agent of this user as they begin and end, until it ends or you do (Ctrl-C). Of calls from ' +
        'before the last ones are remembered (--last), longer by access logs. With -o json a line of JSON each; its JSON Schema: sallyport schema Flow.',
    )
    .addOption(several('--verdict <verdict>', `how it ended: ${VERDICTS.join(', ')}; then only ends are shown`, VERDICTS))
    .option('--host <pattern>', "only of this host; * stands for any characters, e.g. '*.example.com' (repeatable)", repeatable, [])
    .option('--process <name>', 'only of this program of run or beside up, by name or process id (repeatable)', repeatable, [])
    .addOption(several('--protocol <protocol>', PROTOCOLS.join(', '), PROTOCOLS))
    .option('--proxy <namespace/name>', 'only of the proxy of this workload (repeatable)', repeatable, [])
    .option('--last <count>', 'first the calls that ended last before, at most so many (each proxy thread remembers 256)', countOption, 0)
    .option('--run <pid>', 'process id of the sallyport to watch, where several run', pidOption)
    .option('--admin <address>', "the proxy's admin address instead: PORT or ADDRESS:PORT", socketOption('127.0.0.1'))
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (options: FlowsOptions) => {
      process.exitCode = await watch(options);
    });
}

/** An option of a few values that may be given more than once. */
function several(flags: string, description: string, choices: readonly string[]): Option {
  const choose = choiceOption(...choices);
  const parse = (text: string, all: readonly string[]) => repeatable(choose(text), all);
  return new Option(flags, `${description} (repeatable)`).argParser(Object.assign(parse, { choices })).default([]);
}

function pidOption(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('it is a process id.');
  return Number(text);
}

async function watch(options: FlowsOptions): Promise<number> {
  if (options.admin !== undefined && options.run !== undefined)
    throw new SallyportError('usage', '--admin and --run both say what to watch: give one of them.');
  const shown = options.admin ? shownAt(options.admin) : shownBy(await runningShowers(), options.run);
  const show = options.output === 'json' ? showJson : textShower();
  const stopped = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopped.abort());
  const { signal } = stopped;
  // Where the output is not taken, lines are not read either: what runs holds no more of them than it may, and says how many it left out.
  const taken = () => (process.stdout.writableNeedDrain ? once(process.stdout, 'drain', { signal }) : undefined);
  await followFlows(shown, flowQuery(options), signal, { attached: () => say(`watching ${shown.name}`), line: show, taken });
  if (!signal.aborted) say(`${shown.name} has ended`);
  return EXIT.fine;
}

function showJson(_line: FlowLine, text: string): void {
  printData(`${text}\n`);
}

function textShower(): (line: FlowLine) => void {
  const paint = paintFor(process.stdout);
  return (line: Flow | Dropped) => print(`${flowText(line, paint)}\n`);
}
