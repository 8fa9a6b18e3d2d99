/** `sallyport up`: a whole mesh for one machine. */

import { Command, Option } from 'commander';
import { ENGINES } from '../engine/starter.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { prestartWorker } from '../proxy/spare-worker.ts';
import { choiceOption, countOption, durationOption, labelsOption, loopbackOption, portOption, socketOption } from './options.ts';

export interface UpOptions {
  readonly namespace: string;
  readonly workload: Readonly<Record<string, string>>;
  readonly meshConfig?: string;
  /** Of the first router; the next ones follow it. */
  readonly routerAddress: string;
  readonly proxyAddress: SocketAddress;
  /** Where redirected traffic comes in; 0 for nowhere. */
  readonly capturePort: number;
  readonly dnsAddress: SocketAddress;
  readonly adminAddress: SocketAddress;
  readonly statusAddress: SocketAddress;
  readonly engine: (typeof ENGINES)[number];
  readonly envoy?: string;
  readonly envoyLogLevel: string;
  readonly concurrency: number;
  readonly grace: number;
  readonly watch: boolean;
  /** Where a proposal for what the files do not declare goes; then all is allowed. */
  readonly learn?: string;
  /** Says nothing of how it starts and ends. */
  readonly quiet?: boolean;
}

const socket = (flags: string, description: string, port: number) =>
  new Option(flags, description).argParser(socketOption('127.0.0.1')).default({ address: '127.0.0.1', port }, `127.0.0.1:${port}`);

/** The options that `up` and `run` share. */
export function addMeshOptions(command: Command): Command {
  return command
    .option('--namespace <name>', "namespace of this machine's workload", 'default')
    .addOption(
      new Option('--workload <labels>', "labels of this machine's workload, KEY=VALUE,...")
        .argParser(labelsOption)
        .default({ app: 'local' }, 'app=local'),
    )
    .option('--mesh-config <file>', 'MeshConfig; without it the ConfigMap istio in istio-system, if there is one')
    .addOption(socket('--proxy-address <address:port>', 'explicit proxy: HTTP, CONNECT, SOCKS5; port 0 for none', 15080))
    .addOption(
      new Option('--capture-port <port>', 'where redirected traffic comes in (SO_ORIGINAL_DST, Linux); 0 for nowhere')
        .argParser(portOption)
        .default(15001),
    )
    .addOption(
      new Option('--router-address <address>', 'loopback address of the first router; the next ones follow it')
        .argParser(loopbackOption)
        .default('127.0.100.1'),
    )
    .addOption(socket('--dns-address <address:port>', "DNS for the mesh's hosts; port 0 for none", 15053))
    .addOption(
      socket(
        '--admin-address <address:port>',
        "admin server of the sidecar; the routers' have the same port at their own addresses",
        15000,
      ),
    )
    .addOption(socket('--status-address <address:port>', 'readiness, version in force, reload; port 0 for none', 15021))
    .addOption(new Option('--engine <engine>', 'what carries the traffic').argParser(choiceOption(...ENGINES)).default('embedded'))
    .option('--envoy <binary>', 'the Envoy of --engine envoy; without it the one on the PATH')
    .option('--envoy-log-level <level>', "Envoy's own log", 'warning')
    .addOption(new Option('--concurrency <n>', 'worker threads of each proxy, 0 for one a core').argParser(countOption).default(1))
    .addOption(new Option('--grace <duration>', 'time for running requests at the end').argParser(durationOption).default(5000, '5s'))
    .option('--no-watch', 'do not follow changes of the files')
    .option(
      '--learn <file>',
      'allow and record every call, and write the resources that allow what the files do not declare (a folder: learned.yaml in it)',
    );
}

export function upCommand(): Command {
  const command = new Command('up')
    .summary('run the mesh of these files on this machine')
    .description(
      'Runs a sidecar for this machine, a router (gateway) for each Gateway selector, and DNS, on the resources in PATH. ' +
        'Applications use the explicit proxy, e.g. curl -x http://127.0.0.1:15080 http://HOST/. Changes of the files take effect at once.',
    )
    .argument('[path...]', 'files and folders with resources; - for stdin; with --learn there may be none');
  return addMeshOptions(command).action(async (paths: string[], options: UpOptions) => {
    if (paths.length === 0 && options.learn === undefined)
      throw new SallyportError('usage', 'name the files or folders with resources, e.g. sallyport up examples/egress-http');
    // The thread that will carry the traffic loads its modules beside this one.
    if (options.engine === 'embedded') prestartWorker();
    const { startLocalMesh } = await import('../control/local.ts');
    const running = await startLocalMesh(paths, options);
    process.exitCode = await running.run();
  });
}
