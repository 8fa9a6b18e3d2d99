/** The forward proxy of `--via` is for the mesh alone: whoever is contained neither calls it nor learns its credentials. */
import { SallyportError } from '../../lib/errors.ts';
import { hostCovers } from '../../lib/hostname.ts';
import { isLoopbackAddress, type SocketAddress } from '../../lib/socket-address.ts';
import type { Allowed } from '../../policy/allow.ts';
import { LOOPBACK_NAME } from '../../policy/direct.ts';
import type { Via } from '../local/via.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Throws `usage` where the command could ask a proxy of `--via` by itself, or read its credentials.
 * @param local services of this machine that the command reaches
 */
export function keepFromProxy({ proxies, isTold }: Via, allowed: readonly Allowed[], local: readonly SocketAddress[]): void {
  if (isTold)
    throw new SallyportError(
      'usage',
      'credentials stand in the URL of --via, and the command sees the list of processes: write them into a file, --via-credentials FILE.',
    );
  const reached = [
    ...allowed.map(({ host, ports }) => ({ host, ports: ports.map(({ port }) => port) })),
    ...local.map(({ address, port }) => ({ host: address, ports: [port] })),
  ];
  const proxy = reached.find((one) => proxies.some(({ host, port }) => one.ports.includes(port) && isSame(one.host, host)));
  if (proxy)
    throw new SallyportError(
      'usage',
      `${proxy.host}: allowed, the proxy of --via could be asked for any host by whoever is contained. Leave it out.`,
    );
}

/** The variables without those that repeat a proxy's credentials, as they do for programs that have a variable of their own for it. */
export function withoutProxyCredentials(environment: Environment, via: Via | undefined): Environment {
  const fields = Object.values(via?.environment ?? {});
  const texts = fields.flatMap((field) => {
    const token = field.slice(field.indexOf(' ') + 1);
    return field.startsWith('Basic ') ? [token, Buffer.from(token, 'base64').toString('utf8')] : [token];
  });
  const tells = (value: string) => texts.some((text) => value.includes(text) || unescaped(value).includes(text));
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value === undefined || !tells(value)));
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isSame(allowed: string, proxy: string): boolean {
  return hostCovers(allowed, proxy) || (isHere(allowed) && isHere(proxy));
}

/** This machine, by whichever of its names. */
function isHere(host: string): boolean {
  return LOOPBACK_NAME.test(host) || isLoopbackAddress(host);
}
