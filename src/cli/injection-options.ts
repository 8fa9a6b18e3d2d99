/** Options of what injects: what holds for all pods that do not say otherwise. */
import type { Command } from 'commander';
import type { InjectedEngine, InjectionOptions } from '../kube/injection/settings.ts';
import { productVersion } from '../lib/version.ts';
import { choiceOption } from './options.ts';

export interface InjectedOptions {
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly engine: InjectedEngine;
  readonly clusterId: string;
  readonly network: string;
  readonly native: boolean;
  readonly cni: boolean;
}

export function addInjectionOptions(command: Command): Command {
  return command
    .option(
      '--image <name>',
      'of injected proxies, and of what sets up their capture: its entry point is sallyport',
      `sallyport:${productVersion()}`,
    )
    .option('--image-pull-policy <policy>', 'of that image', choiceOption('Always', 'IfNotPresent', 'Never'))
    .option(
      '--engine <engine>',
      'what carries the traffic where a pod does not say (annotation sallyport.dev/engine)',
      choiceOption('envoy', 'embedded'),
      'envoy',
    )
    .option('--cluster-id <name>', 'cluster of injected pods', 'Kubernetes')
    .option('--network <name>', 'network of injected pods', '')
    .option('--no-native', 'sidecars as containers beside the application, for a Kubernetes before 1.29')
    .option('--cni', "capture by the nodes' CNI plugin (sallyport cni) in place of an init container with NET_ADMIN", false);
}

export function injectionFrom(options: InjectedOptions, revision: string): Omit<InjectionOptions, 'mesh'> {
  const { image, imagePullPolicy, engine, clusterId: cluster, network, native, cni } = options;
  return { image, imagePullPolicy, engine, cluster, network, native, cni, revision };
}
