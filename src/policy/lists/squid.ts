/** Squid's `acl NAME dstdomain …` with `http_access allow NAME`, read from the top as Squid does. Pure. */
import { table } from '../../lib/table.ts';
import type { ConvertedDestination, ConvertedList } from './forms.ts';
import { grouped, problemOf } from './read.ts';

/** The type that Squid's own example has for each; of another type the name says nothing. */
const USUAL = table({
  Safe_ports: 'port',
  SSL_ports: 'port',
  CONNECT: 'method',
  localnet: 'src',
  localhost: 'src',
  to_localhost: 'dst',
});

/** Directives by which more is said of who may reach what than stands in this file, or only at times. */
const UNREAD = new Set(['include', 'if', 'else', 'adapted_http_access', 'http_access2']);

/** Whether the file gives one of Squid's usual names to something else. */
function rewritten(acls: ReadonlyMap<string, Acl>, name: string): boolean {
  const plain = name.replace(/^!/, '');
  const acl = acls.get(plain);
  return acl !== undefined && USUAL[plain] !== undefined && acl.type !== USUAL[plain];
}

interface Acl {
  readonly type: string;
  readonly values: readonly string[];
}

/** What Squid's own example has in front of every list: it narrows ports and clients, as a mesh does. */
const HARMLESS = new Set(['Safe_ports', 'SSL_ports', 'CONNECT', 'manager', 'localhost', 'localnet', 'to_localhost', 'all']);

export function readSquid(text: string): ConvertedList {
  const acls = new Map<string, Acl>();
  const left: string[] = [];
  const to: ConvertedDestination[] = [];
  let denied: string | undefined;
  text.split('\n').forEach((line, index) => {
    const where = `line ${index + 1}`;
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/);
    const [directive, name = '', ...rest] = words;
    if (directive === 'acl') takeAcl(acls, name, rest, where, left);
    else if (directive === 'http_access') {
      const what = `${where}: ${words.join(' ')}`;
      // Squid takes the first line that fits: behind a denial that a policy can not say nothing is known to be allowed.
      if (name === 'allow' && denied !== undefined) left.push(`${what}: ${denied} comes first, and policies deny nothing.`);
      else if (name === 'allow' && rest.some((each) => rewritten(acls, each)))
        left.push(`${what}: a list of destinations is called as Squid calls its clients, so that it is not known what is meant.`);
      else if (name === 'allow') to.push(...takeAccess(acls, rest, what, left));
      else if (rest.includes('all') || !rest.every((each) => HARMLESS.has(each.replace(/^!/, '')) && !rewritten(acls, each)))
        denied ??= what;
    } else if (UNREAD.has(directive ?? '')) {
      // What stands there may deny anything.
      denied ??= `${where}: ${words.join(' ')}`;
      left.push(`${where}: ${words.join(' ')}: it is not read, and what comes behind it is left out.`);
    }
  });
  if (acls.size === 0) throw new Error('it has no acl');
  return { policies: [{ name: 'squid', namespace: 'default', to: grouped(to), reason: 'from acl dstdomain of Squid' }], left };
}

function takeAcl(acls: Map<string, Acl>, name: string, [type = '', ...values]: readonly string[], where: string, left: string[]): void {
  const before = acls.get(name);
  if (values.some((value) => value.startsWith('"')))
    left.push(`${where}: acl ${name}: the file that it names is not read: write its lines here.`);
  acls.set(name, { type, values: [...(before?.values ?? []), ...values.filter((value) => !/^["-]/.test(value))] });
}

/** The destinations that one line allows. Any doubt leaves the line out. */
function takeAccess(acls: Map<string, Acl>, names: readonly string[], what: string, left: string[]): ConvertedDestination[] {
  const domains = names.filter((name) => acls.get(name)?.type === 'dstdomain');
  const ports = names.filter((name) => acls.get(name)?.type === 'port');
  const others = names.filter((name) => !domains.includes(name) && !ports.includes(name) && name !== 'localnet' && name !== 'localhost');
  if (domains.length !== 1 || others.length > 0 || ports.length > 1) {
    if (domains.length > 0 || !names.every((name) => HARMLESS.has(name)) || names.includes('all'))
      left.push(
        `${what}: only one acl of type dstdomain is carried over, with one of type port beside it${others.length > 0 ? `; there is ${others.join(', ')}` : ''}.`,
      );
    return [];
  }
  const numbers = ports.flatMap((name) => acls.get(name)!.values);
  if (numbers.some((number) => !/^\d{1,5}$/.test(number))) {
    left.push(`${what}: a range of ports is not carried over: name each.`);
    return [];
  }
  return acls.get(domains[0]!)!.values.flatMap((domain): ConvertedDestination[] => {
    // A leading dot is the domain itself and all below it.
    const hosts = domain.startsWith('.') ? [domain.slice(1).toLowerCase(), `*${domain.toLowerCase()}`] : [domain.toLowerCase()];
    const destination = { hosts, ...(numbers.length > 0 && { ports: numbers.map(Number) }) };
    const problem = hosts.map((host) => problemOf(host, destination)).find((each) => each !== undefined);
    if (problem === undefined) return [destination];
    left.push(`${what}: ${domain}: ${problem}.`);
    return [];
  });
}
