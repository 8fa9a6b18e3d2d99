/** The options that `up` and `run` share. */
import type { Command } from 'commander';
import { grantsFile } from '../control/grants/where.ts';
import type { LocalMeshOptions } from '../control/local/options.ts';
import type { Via, ViaOptions } from '../control/local/via.ts';
import { ENGINES } from '../engine/starter.ts';
import {
  addressOption,
  choiceOption,
  countOption,
  defaulted,
  durationOption,
  labelsOption,
  loopbackOption,
  portOption,
} from './options.ts';
import { addViaOptions } from './via.ts';

/** As they are written on the command line. */
export interface UpOptions extends Omit<LocalMeshOptions, 'envoy' | 'logLevel' | 'graceMs' | 'analyse' | 'grants' | 'beside'>, ViaOptions {
  readonly grants?: string | true;
  readonly envoy?: string;
  readonly envoyLogLevel: string;
  readonly grace: number;
  readonly watch: boolean;
}

/** @param via what is laid over the files for `--via` */
export async function localMeshOptions(
  { envoy, envoyLogLevel: logLevel, grace: graceMs, grants, ...same }: UpOptions,
  via: Via | undefined,
): Promise<LocalMeshOptions> {
  const file = grants === true ? grantsFile() : grants;
  const beside = via && (await import('../config/memory.ts')).snapshotFromText(via.resources, { file: '--via' });
  return { ...same, envoy, logLevel, graceMs, analyse: true, ...(file !== undefined && { grants: file }), ...(beside && { beside }) };
}

export function addMeshOptions(command: Command): Command {
  return addViaOptions(command)
    .option('--namespace <name>', "namespace of this machine's workload", 'default')
    .addOption(defaulted('--workload <labels>', "labels of this machine's workload, KEY=VALUE,...", labelsOption, 'app=local'))
    .option('--mesh-config <file>', 'MeshConfig; without it the ConfigMap istio in istio-system, if there is one')
    .option(
      '--ca <folder>',
      'CA for mutual TLS in the mesh: ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, made on first use; without it one that is not kept',
    )
    .addOption(addressOption('--proxy-address <address:port>', 'explicit proxy: HTTP, CONNECT, SOCKS5; port 0 for none', '127.0.0.1:15080'))
    .option('--capture-port <port>', 'where redirected traffic comes in (SO_ORIGINAL_DST, Linux); 0 for nowhere', portOption, 15001)
    .option('--router-address <address>', 'loopback address of the first router; the next ones follow it', loopbackOption, '127.0.100.1')
    .addOption(addressOption('--dns-address <address:port>', "DNS for the mesh's hosts; port 0 for none", '127.0.0.1:15053'))
    .addOption(
      addressOption(
        '--admin-address <address:port>',
        "admin server of the sidecar; the routers' have the same port at their own addresses",
        '127.0.0.1:15000',
      ),
    )
    .addOption(addressOption('--status-address <address:port>', 'readiness, version in force, reload; port 0 for none', '127.0.0.1:15021'))
    .option('--engine <engine>', 'what carries the traffic', choiceOption(...ENGINES), 'embedded')
    .option('--envoy <binary>', 'the Envoy of --engine envoy; without it the one on the PATH')
    .option('--envoy-log-level <level>', "Envoy's own log", 'warning')
    .option('--concurrency <n>', 'worker threads of each proxy, 0 for one a core', countOption, 1)
    .addOption(defaulted('--grace <duration>', 'time for running requests at the end', durationOption, '5s'))
    .option('--grants [file]', "take what sallyport grant allows; by default from this user's private folder")
    .option('--no-watch', 'do not follow changes of the files')
    .option(
      '--learn <file>',
      'allow and record every call, and write the resources that allow what the files do not declare (a folder: learned.yaml in it)',
    );
}
