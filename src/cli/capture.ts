/** `sallyport capture`: what the init container of an injected pod runs. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Listed, portList, type ReadList, rangeList } from '../kube/capture/lists.ts';
import { type CaptureSettings, captureRules, DNS_PORT, type Family } from '../kube/capture/rules.ts';
import { checkCapture } from '../kube/capture-check.ts';
import { hasIpv6, writeRules } from '../kube/iptables.ts';
import { defaulted, portOption } from './options.ts';
import { printData } from './print.ts';
import { say } from './say.ts';

type Options = CaptureSettings & { readonly dns: boolean; readonly dryRun: boolean; readonly check: boolean };
export function captureCommand(): Command {
  const ports = (text: string) => listed(portList(text, 'listed'));
  const portsOrAll = (text: string) => listed(portList(text, 'or all'));
  return new Command('capture')
    .summary("lead this pod's traffic to its proxy")
    .description(
      "Writes the iptables rules of this network namespace by which the pod's TCP goes to its proxy; what the proxy's user sends is left alone. Needs NET_ADMIN and NET_RAW. " +
        'Rules that are there already are replaced at once.',
    )
    .option('--outbound-port <port>', 'of the proxy, for what the pod sends', portOption, 15_001)
    .option('--inbound-port <port>', 'of the proxy, for what the pod gets', portOption, 15_006)
    .option('--proxy-uid <uid>', 'user of the proxy: what it sends goes its way', uidOption, 1337)
    .option('--include-outbound-ranges <ranges>', 'CIDR ranges that are captured, or *', (text) => listed(rangeList(text, 'or all')), '*')
    .addOption(
      new Option('--exclude-outbound-ranges <ranges>', 'CIDR ranges that are not captured')
        .argParser((text) => listed(rangeList(text, 'listed')))
        .default([], ''),
    )
    .addOption(new Option('--include-outbound-ports <ports>', 'ports that are captured in any range').argParser(ports).default([], ''))
    .addOption(new Option('--exclude-outbound-ports <ports>', 'ports that are not captured').argParser(ports).default([], ''))
    .option('--include-inbound-ports <ports>', 'ports of the pod that are captured, or *', portsOrAll, '*')
    .addOption(defaulted('--exclude-inbound-ports <ports>', 'ports of the pod that are not captured', ports, '15090,15021,15020'))
    .option('--dns', `lead DNS to the proxy, too (port ${DNS_PORT})`, false)
    .option('--check', "write nothing, and fail unless this pod's traffic is captured; needs no right", false)
    .option('--dry-run', 'print the rules, and write none', false)
    .action(async (options: Options) => {
      const settings = { ...options, dnsPort: options.dns ? DNS_PORT : undefined };
      if (options.check) {
        say(`captured: ${await checkCapture(settings)}`);
        return;
      }
      const families: readonly Family[] = options.dryRun || hasIpv6() ? ['IPv4', 'IPv6'] : ['IPv4'];
      for (const family of families) {
        if (options.dryRun) printData(`# ${family}\n${captureRules(settings, family, '')}`);
        else writeRules(settings, family);
      }
      if (!options.dryRun) say(`captured: ${families.join(' and ')}`);
    });
}

function listed<T extends Listed>(list: ReadList): T {
  if ('problem' in list) throw new InvalidArgumentError(`${list.problem}.`);
  return list.entries as T;
}

function uidOption(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) === 0 || Number(text) > 0xffff_fffe)
    throw new InvalidArgumentError('it is the number of a user, and not 0: what root sends has to be captured.');
  return Number(text);
}
