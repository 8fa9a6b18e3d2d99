/** `sallyport proxy-config`: what a proxy has been told, as tables, JSON or YAML. */

import { Command } from 'commander';
import { askProxy, readDump, translatedDump } from '../inputs/dump.ts';
import type { Reader } from '../inputs/reader.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { type ConfigOutput, configText } from '../report/proxy-config.ts';
import type { Dump } from '../xds/config-dump/dump.ts';
import type { Filters } from '../xds/config-dump/table.ts';
import { FILTERS, KINDS, type Kind } from '../xds/config-dump/tables.ts';
import { EXIT } from './exit.ts';
import { choiceOption, portOption, socketOption } from './options.ts';
import { print } from './print.ts';
import { answerFrom, EMPTY_OPTION } from './source-options.ts';

interface Options extends Filters {
  readonly file?: string;
  readonly admin?: SocketAddress;
  readonly workload?: string;
  readonly namespace: string;
  readonly meshConfig?: string;
  readonly allowEmpty: boolean;
  readonly output: ConfigOutput;
}

const DEFAULT_ADMIN: SocketAddress = { address: '127.0.0.1', port: 15000 };

const FILTER_TEXT: Readonly<Record<keyof Filters, string>> = {
  address: 'only with this IP address',
  port: 'only with this port',
  name: 'only with this name',
  fqdn: 'only of hosts that contain this',
  subset: 'only of subsets that contain this',
  direction: 'inbound or outbound',
  cluster: 'only of this cluster',
  status: 'only with this health, e.g. HEALTHY',
};

export function proxyConfigCommand(): Command {
  const command = new Command('proxy-config')
    .alias('pc')
    .summary('what a proxy has been told: listeners, routes, clusters, endpoints, secrets')
    .description('What a proxy has been told: listeners, routes, clusters, endpoints, secrets.')
    // Inherited by the subcommands: wrong usage is the program's to report.
    .exitOverride();
  for (const kind of KINDS) {
    const sub = command.command(`${kind} [paths...]`).alias(kind.slice(0, -1)).description(`its ${kind}`);
    common(sub);
    for (const filter of FILTERS[kind]) {
      if (filter === 'port') sub.option('--port <port>', FILTER_TEXT.port, portOption);
      else sub.option(`--${filter} <value>`, FILTER_TEXT[filter]);
    }
    sub.action((paths: string[], options: Options) => answer([kind], paths, options));
  }
  const all = common(command.command('all [paths...]').description('all of these'));
  all.action((paths: string[], options: Options) => answer(KINDS, paths, options));
  return command;
}

function common(command: Command): Command {
  return command
    .option(...EMPTY_OPTION)
    .option('-f, --file <dump>', 'a file with a config dump (- for stdin)')
    .option(
      '--admin <address>',
      'admin address of a running proxy: PORT or ADDRESS:PORT (default 127.0.0.1:15000)',
      socketOption('127.0.0.1'),
    )
    .option('--workload <namespace/name>', 'with PATHS: the workload whose proxy it is')
    .option('-n, --namespace <name>', 'with PATHS: namespace of objects that name none', 'default')
    .option('--mesh-config <file>', 'with PATHS: MeshConfig')
    .option('-o, --output <format>', 'table, json or yaml', choiceOption('table', 'json', 'yaml'), 'table');
}

function answer(kinds: readonly Kind[], paths: readonly string[], options: Options): Promise<void> {
  return answerFrom(async (reader) => {
    const { output, ...filters } = options;
    print(await configText(kinds, await sourceOf(reader, paths, options), { output, filters, now: Date.now() }));
    return EXIT.fine;
  });
}

async function sourceOf(reader: Reader, paths: readonly string[], options: Options): Promise<Dump> {
  if (options.file !== undefined) return readDump(options.file);
  if (paths.length > 0) return translatedDump(await reader.simulated(paths, options), options.workload);
  return askProxy(options.admin ?? DEFAULT_ADMIN);
}
