/** `sallyport explain`: where one call goes, hop by hop, and which resource decided. */

import { Command } from 'commander';
import { explainDumps, explainOver } from '../inputs/explained.ts';
import type { Reader, SourceOptions } from '../inputs/reader.ts';
import { SallyportError } from '../lib/errors.ts';
import { expectShortRun } from '../lib/short-run.ts';
import type { Explanation } from '../prove/explain.ts';
import { explanationText } from '../report/explanation.ts';
import { type CallTarget, parseTarget } from '../simulate/call.ts';
import { writeAnswer } from './answer.ts';
import { EXIT } from './exit.ts';
import { choiceOption, repeatable } from './options.ts';
import { addSourceOptions, answerFrom, demandSource } from './source-options.ts';

interface ExplainOptions extends SourceOptions {
  readonly file: readonly string[];
  readonly configDump: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly header: readonly string[];
  readonly sni?: string;
  readonly httpVersion: '1.0' | '1.1' | '2';
  readonly output: 'text' | 'json';
}

export function explainCommand(): Command {
  const command = new Command('explain')
    .summary('where a call goes, and which resource decided')
    .description(
      'Explains one call over a configuration: [METHOD] URL, where URL is http://…, https://…, tls://host:port or tcp://address:port.',
    )
    .argument('<call...>', "e.g. GET 'https://api.example.com/v1?x=1'")
    .option('-f, --file <path>', 'files and folders with the configuration (repeatable)', repeatable, [])
    .option(
      '--config-dump <file>',
      'in place of files, the config dump of a proxy: `/config_dump?include_eds` of its admin address (repeatable: sidecar and gateway)',
      repeatable,
      [],
    )
    .option(
      '--from <namespace/name>',
      'the workload that calls, or a gateway that the call has come to, or plain for one without a sidecar; by default the only workload with a sidecar',
    )
    .option('--to <address>', 'the address that the client resolved the name to itself')
    .option('-H, --header <header>', "a request header 'name: value' (repeatable)", repeatable, [])
    .option('--sni <name>', "TLS server name, if not the URL's host")
    .option('--http-version <version>', '1.0, 1.1 or 2', choiceOption('1.0', '1.1', '2'), '1.1');
  return addSourceOptions(command)
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (words: string[], options: ExplainOptions) => {
      expectShortRun();
      const target = targetOf(words, options);
      await answerFrom(async (reader) => {
        const explanation = await explained(reader, target, options);
        writeAnswer(explanation, options.output, explanationText);
        return explanation.trace.outcome.kind === 'upstream' && !explanation.ending ? EXIT.fine : EXIT.findings;
      });
    });
}

function explained(reader: Reader, target: CallTarget, options: ExplainOptions): Promise<Explanation> {
  const { file, configDump } = options;
  if (configDump.length === 0) {
    demandSource(file, options, '--file or --config-dump');
    return explainOver(reader, target, file, options, Date.now());
  }
  if (file.length > 0 || options.kube)
    throw new SallyportError('usage', 'say what to explain the call over: either --file and --kube, or --config-dump');
  return explainDumps(configDump, target, options, Date.now());
}

const METHOD = /^[A-Z][A-Z-]*$/i;

function targetOf(words: readonly string[], { header, sni, httpVersion }: ExplainOptions): CallTarget {
  const [first, second, third] = words;
  if (third !== undefined || (second !== undefined && !METHOD.test(first!)))
    throw new SallyportError('usage', `"${words.join(' ')}" is no call: write [METHOD] URL, and name files with -f PATH`);
  const [method, url] = second === undefined ? ['GET', first!] : [first!, second];
  try {
    return parseTarget(url, { method, headers: header, serverName: sni, httpVersion });
  } catch (error) {
    throw new SallyportError('usage', (error as Error).message);
  }
}
