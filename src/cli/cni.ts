/** `sallyport cni`: what the DaemonSet of the chart runs on each node. */
import { once } from 'node:events';
import { Command } from 'commander';
import { ApiClient } from '../config/kubernetes/client.ts';
import { ISTIO_SYSTEM } from '../inputs/cluster.ts';
import { goesForGood } from '../kube/cni/goes-for-good.ts';
import { Keeper } from '../kube/cni/keeper.ts';
import { serveReadiness } from '../kube/cni/readiness.ts';
import { messageOf } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { EXIT } from './exit.ts';
import { addressOption } from './options.ts';
import { say } from './say.ts';
import { clusterAccess } from './source-options.ts';

interface Options {
  readonly binDir: string;
  readonly confDir: string;
  readonly plugin: string;
  readonly daemonset?: string;
  readonly namespace: string;
  readonly statusAddress: SocketAddress;
}

/** For the answer whether it goes for good: a pod has 30 s to end, ms. */
const ASK_MS = 10_000;

export function cniCommand(): Command {
  return new Command('cni')
    .summary("keep the CNI plugin on this node, which captures pods' traffic")
    .description(
      'Copies the plugin into the folder of plugins and chains it onto the network configuration, again whenever that is written anew. The plugin writes, for each pod that was injected with --cni, the rules of ' +
        '`sallyport capture`, before anything of the pod runs. On SIGTERM all stays as it is, unless the DaemonSet is deleted: then the plugin is taken away.',
    )
    .option('--bin-dir <folder>', "the container runtime's folder of plugins", '/opt/cni/bin')
    .option('--conf-dir <folder>', "the container runtime's folder of network configurations", '/etc/cni/net.d')
    .option('--plugin <folder>', "the plugin's files, as the image has them", '/usr/local/lib/sallyport-cni')
    .option('--daemonset <name>', 'whose deletion takes the plugin away, asked of the cluster; without it nothing does')
    .option('--namespace <name>', 'of the DaemonSet', ISTIO_SYSTEM)
    .addOption(addressOption('--status-address <address:port>', 'readiness: whether pods are captured', '127.0.0.1:15021'))
    .action(async (options: Options) => {
      const { plugin, binDir: bin, confDir: conf, statusAddress } = options;
      const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
      const keeper = new Keeper({ plugin, bin, conf, say });
      const server = await serveReadiness(keeper, statusAddress);
      await ended;
      process.once('SIGTERM', () => process.exit(EXIT.couldNotRun));
      server.close();
      if (await isTakenAway(options)) {
        keeper.remove();
        say('the DaemonSet is deleted: the plugin is taken from this node');
      } else {
        keeper.close();
        say('the plugin stays on this node');
      }
    });
}

/** Where nobody can say it is not: then pods of the mesh are captured from here on, too. */
async function isTakenAway({ daemonset, namespace }: Options): Promise<boolean> {
  if (daemonset === undefined) return false;
  try {
    const client = new ApiClient(await clusterAccess({ kube: true, istioNamespace: namespace }), { silenceMs: ASK_MS });
    try {
      return await goesForGood(client, namespace, daemonset);
    } finally {
      client.close();
    }
  } catch (error) {
    say(`whether the DaemonSet is deleted cannot be asked: ${messageOf(error)}`);
    return false;
  }
}
