import { isWildcard } from '../../lib/hostname.ts';
import { parseRange } from '../../lib/ip.ts';
import { PLAIN_STARTS } from '../../lib/plain-start.ts';
import { isHttp, isTls, kubernetesProtocol, parseProtocol } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';

/** SP1043: TLS, HTTP or nothing declared where the connection starts with something else, for which a sidecar waits in vain. */
export function plainStarts(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const hosts = entry.spec.hosts.join(', ');
    for (const [i, port] of entry.spec.ports.entries()) {
      const number = port.targetPort || port.number;
      const known = PLAIN_STARTS.get(number);
      if (!known) continue;
      const protocol = parseProtocol(port.protocol);
      const path = ['spec', 'ports', i, 'protocol'];
      const mend = 'Declare protocol: TCP, with addresses or an allocated one.';
      if (isTls(protocol))
        context.report(
          'SP1043',
          entry,
          path,
          `Port ${port.number} is declared ${port.protocol}, and ${known.protocol} on port ${number} starts in plain (TLS is agreed upon later): the sidecar waits for a TLS greeting with a server name, none comes, and calls to ${hosts} hang or are closed. ${mend}`,
        );
      else if (known.serverFirst && (isHttp(protocol) || port.protocol === ''))
        context.report(
          'SP1043',
          entry,
          port.protocol === '' ? ['spec', 'ports', i] : path,
          `Port ${port.number} is declared ${port.protocol || 'without a protocol'}, and in ${known.protocol} on port ${number} the server speaks first: the sidecar waits for the client's first bytes to tell what they are, none come, and calls to ${hosts} hang. ${mend}`,
        );
    }
  }
  for (const service of context.of('Service')) {
    for (const [i, port] of service.spec.ports.entries()) {
      const known = PLAIN_STARTS.get(port.port);
      if (!known?.serverFirst || !isHttp(kubernetesProtocol(port))) continue;
      context.report(
        'SP1043',
        service,
        ['spec', 'ports', i],
        `Port ${port.port} is one of HTTP by its name or appProtocol, so sidecars that see this Service wait on port ${port.port} of every address for a client to speak. In ${known.protocol} the server speaks first: calls to ${known.protocol} servers that are not declared hang. Name the port by another protocol (tcp-…) if it is no HTTP, give it another number, or declare those servers with protocol TCP and their addresses.`,
      );
    }
  }
}

/** SP1040: TLS ports of hosts whose addresses are ranges. */
export function serverNamesNeeded(context: Context): void {
  for (const service of context.registry.services) {
    // Under a wildcard it is the name that is called.
    if (service.registry !== 'External' || isWildcard(service.hostname)) continue;
    const index = service.addresses.findIndex(isNetwork);
    const port = service.ports.find(({ protocol }) => isTls(protocol));
    if (index < 0 || !port) continue;
    context.report(
      'SP1040',
      service.resource,
      ['spec', 'addresses', index],
      `${service.addresses[index]} is a range, and behind a range calls to port ${port.number} (${port.protocol}) are told by address and server name: TLS to ${service.hostname} is taken, and a client that dials an address, and so sends no server name, or another one, is not: its calls are refused under REGISTRY_ONLY and leave as unknown ones else. Declare the port as TCP, write single addresses (/32), or give the clients the name.`,
    );
  }
}

/** More than one address. */
function isNetwork(text: string): boolean {
  const range = parseRange(text);
  return range !== undefined && range.length < range.words.length * 32;
}
