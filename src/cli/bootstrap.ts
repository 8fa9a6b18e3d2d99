/** `sallyport bootstrap`: the bootstrap of an Envoy that has everything from a control plane. */
import { Command, Option } from 'commander';
import { tlsFiles } from '../control/remote-options.ts';
import { SallyportError } from '../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { CONTROL_PLANE_HOST } from '../lib/spiffe.ts';
import { envoyBootstrap } from '../xds/envoy-bootstrap.ts';
import { nodeJson } from '../xds/node.ts';
import { addressOption, choiceOption, namespacedNameOption, socketOption } from './options.ts';
import { printData } from './print.ts';
import { addXdsOptions, identityFrom, type XdsOptions } from './xds-options.ts';

interface Options extends XdsOptions {
  readonly role: 'sidecar' | 'router';
  readonly workload: { readonly namespace: string; readonly name: string };
  readonly xds: SocketAddress;
  readonly xdsProtocol: 'delta' | 'sotw';
  readonly admin: SocketAddress;
}

export function bootstrapCommand(): Command {
  const command = new Command('bootstrap')
    .summary('write the bootstrap of an Envoy that connects to a controller')
    .description(
      'Prints the bootstrap (YAML) of a stock Envoy that has everything from a control plane over ADS. Envoy reads the files of TLS when it starts.',
    )
    .addOption(
      new Option('--workload <namespace/name>', 'the workload that the proxy belongs to')
        .argParser(namespacedNameOption)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--role <role>', 'sidecar or router (a gateway)').argParser(choiceOption('sidecar', 'router')).makeOptionMandatory(),
    )
    .addOption(new Option('--xds <address:port>', 'the control plane').argParser(socketOption('127.0.0.1')).makeOptionMandatory())
    .option('--xds-protocol <protocol>', 'incremental, or state of the world', choiceOption('delta', 'sotw'), 'delta')
    .addOption(addressOption('--admin <address:port>', "Envoy's admin server, on a loopback address", '127.0.0.1:15000'));
  return addXdsOptions(command).action(async (options: Options) => {
    const { stringify } = await import('yaml');
    printData(stringify(bootstrapFor(options), { aliasDuplicateObjects: false }));
  });
}

function bootstrapFor(options: Options) {
  const { role, workload, xds, xdsProtocol: protocol, admin } = options;
  if (!isLoopbackAddress(admin.address))
    throw new SallyportError(
      'usage',
      `--admin ${admin.address}:${admin.port}: whoever reaches Envoy's admin server can end it and read its configuration: choose a loopback address, as 127.0.0.1`,
    );
  const files = tlsFiles(xds, options);
  // Certificates of control planes have this name, whatever the address.
  const tls = files && { ...files, serverName: CONTROL_PLANE_HOST };
  return envoyBootstrap({ node: nodeJson(identityFrom(role, workload, options)), admin, xds, protocol, tls });
}
