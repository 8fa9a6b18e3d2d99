/** `sallyport proxy`: the data plane of one proxy. */

import { Command, Option } from 'commander';
import { ENGINES } from '../engine/starter.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { prestartWorker } from '../proxy/spare-worker.ts';
import { choiceOption, countOption, durationOption, namespacedNameOption, socketOption } from './options.ts';

export interface ProxyOptions {
  readonly config?: string;
  readonly role?: 'sidecar' | 'router';
  readonly workload?: { readonly namespace: string; readonly name: string };
  readonly meshConfig?: string;
  readonly adminAddress?: SocketAddress;
  readonly statusAddress: SocketAddress;
  readonly engine: (typeof ENGINES)[number];
  readonly envoy?: string;
  readonly envoyLogLevel: string;
  readonly concurrency: number;
  readonly grace: number;
  readonly watch: boolean;
}

export function proxyCommand(): Command {
  return new Command('proxy')
    .summary('run one proxy: from an Envoy bootstrap, or for a workload of the files')
    .description(
      'Runs the data plane of one proxy.\n\n' +
        'With -c, from an Envoy bootstrap file (static resources and file subscriptions), without a control plane.\n' +
        'With --role and --workload, from the resources in PATH: labels, addresses and service account are those of the Pod or WorkloadEntry of that name. ' +
        'SIGHUP reads the files again.',
    )
    .argument('[path...]', 'files and folders with resources; - for stdin')
    .option('-c, --config <bootstrap>', 'Envoy bootstrap, YAML or JSON')
    .addOption(new Option('--role <role>', 'sidecar or router (a gateway)').argParser(choiceOption('sidecar', 'router')))
    .addOption(
      new Option('--workload <namespace/name>', 'the Pod or WorkloadEntry that the proxy belongs to').argParser(namespacedNameOption),
    )
    .option('--mesh-config <file>', 'MeshConfig; without it the ConfigMap istio in istio-system, if there is one')
    .addOption(
      new Option('--admin-address <address:port>', 'admin server (default: 127.0.0.1:15000, or what the bootstrap says)').argParser(
        socketOption('127.0.0.1'),
      ),
    )
    .addOption(
      new Option('--status-address <address:port>', 'readiness, version in force, reload; port 0 for none')
        .argParser(socketOption('127.0.0.1'))
        .default({ address: '127.0.0.1', port: 15021 }, '127.0.0.1:15021'),
    )
    .addOption(new Option('--engine <engine>', 'what carries the traffic').argParser(choiceOption(...ENGINES)).default('embedded'))
    .option('--envoy <binary>', 'the Envoy of --engine envoy; without it the one on the PATH')
    .option('--envoy-log-level <level>', "Envoy's own log", 'warning')
    .addOption(
      new Option('--concurrency <n>', 'worker threads, 0 for one a core; with -c and 1 there is but one thread')
        .argParser(countOption)
        .default(0),
    )
    .addOption(new Option('--grace <duration>', 'time for running requests at the end').argParser(durationOption).default(5000, '5s'))
    .option('--no-watch', 'do not follow changes of the files')
    .action(async (paths: string[], options: ProxyOptions) => {
      if (options.config !== undefined) {
        if (options.role || options.workload || paths.length > 0) {
          throw new SallyportError('usage', '-c BOOTSTRAP stands alone; --role, --workload and PATH are the other way to run a proxy.');
        }
        const { runBootstrap } = await import('./proxy-bootstrap.ts');
        // Connections that outlived the grace would keep a thread that carries traffic itself.
        process.exit(await runBootstrap(options.config, options));
      }
      if (!options.role || !options.workload || paths.length === 0) {
        throw new SallyportError('usage', 'say what to run: -c BOOTSTRAP, or --role ROLE --workload NAMESPACE/NAME PATH...');
      }
      // The thread that will carry the traffic loads its modules beside this one.
      if (options.engine === 'embedded') prestartWorker();
      const { runWorkload } = await import('./proxy-workload.ts');
      process.exitCode = await runWorkload(options.role, options.workload, paths, options);
    });
}
