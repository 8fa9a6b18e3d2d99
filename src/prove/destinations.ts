/** Calls that stand for others, in words: which hosts and ports they stand for. */
import type { Call } from '../simulate/call.ts';
import { OTHER_HOST, OTHER_IPS, OTHER_PORT } from '../simulate/cells.ts';
import { OTHER } from '../simulate/sample.ts';

function nameIn({ payload: { tls, http } }: Call): string {
  return http?.authority.replace(/:\d+$/, '') || tls?.serverName || '';
}

/** The host of a call, which may stand for others. */
export function hostText(call: Call): string {
  const { ip } = call.destination;
  const name = nameIn(call);
  const isSample = OTHER_IPS.includes(ip);
  if (name === OTHER_HOST || name === '') return isSample ? 'any other host' : name === '' ? ip : `any other name at ${ip}`;
  return name.startsWith(`${OTHER}.`) ? `*${name.slice(OTHER.length)}` : name;
}

/** A text about one call as one about all calls that are alike: what is called is `the host`, in a cluster's name `HOST`. */
export function aboutHost(text: string, call: Call): string {
  const name = nameIn(call);
  const { ip, port } = call.destination;
  const plain = text.replaceAll(`${ip}:${port}`, 'the host');
  return name === '' ? plain : plain.replaceAll(`||${name}`, '||HOST').replaceAll(name, 'the host');
}

/** With more exceptions the ports are listed. */
const MOST_EXCEPTED = 3;

/**
 * A host with its ports in words.
 * @param called all ports that were tried at it; undefined where that is not known
 */
export function destinationText(host: string, ports: ReadonlySet<number>, called?: readonly number[]): string {
  const missing = called?.filter((port) => !ports.has(port)).sort((a, b) => a - b);
  if (missing && ports.has(OTHER_PORT) && missing.length <= MOST_EXCEPTED)
    return `${host}, any port${missing.length > 0 ? ` but ${missing.join(', ')}` : ''}`;
  const named = [...ports].filter((port) => port !== OTHER_PORT).sort((a, b) => a - b);
  if (!ports.has(OTHER_PORT)) return host.includes(' ') ? `${host}, port ${named.join(', ')}` : `${host}:${named.join(',')}`;
  return named.length === 0 ? `${host}, any other port` : `${host}, port ${named.join(', ')} and any that nothing names`;
}
