import { isWildcard } from '../../lib/hostname.ts';
import { parseRange } from '../../lib/ip.ts';
import { isTls, parseProtocol } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';

/** Ports on which a connection starts in plain and turns to TLS later, with who is silent then: IANA's service names and numbers. */
const PLAIN_START: ReadonlyMap<number, string> = new Map([
  [21, 'FTP'],
  [22, 'SSH'],
  [23, 'Telnet'],
  [25, 'SMTP'],
  [110, 'POP3'],
  [119, 'NNTP'],
  [143, 'IMAP'],
  [389, 'LDAP'],
  [587, 'SMTP'],
  [1433, 'SQL Server'],
  [3306, 'MySQL'],
  [4190, 'ManageSieve'],
  [5222, 'XMPP'],
  [5269, 'XMPP'],
  [5432, 'PostgreSQL'],
]);

/** SP1043: TLS declared where the connection starts with something else. */
export function plainStarts(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    for (const [i, port] of entry.spec.ports.entries()) {
      const known = PLAIN_START.get(port.targetPort || port.number);
      if (!known || !isTls(parseProtocol(port.protocol))) continue;
      context.report(
        'SP1043',
        entry,
        ['spec', 'ports', i, 'protocol'],
        `Port ${port.number} is declared ${port.protocol}, and ${known} on port ${port.targetPort || port.number} starts in plain (TLS is agreed upon later): the sidecar waits for a TLS greeting with a server name, none comes, and calls to ${entry.spec.hosts.join(', ')} hang or are closed. Declare protocol: TCP, with addresses or an allocated one.`,
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
