/** What is said of several objects that declare one host in one namespace. */
import { originOf, type Resource, resourceText } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import type { Service, ServicePort } from './model.ts';

/** Which of two a client follows that sees both, and who that is. */
export interface Rivalry {
  readonly first: Service;
  readonly second: Service;
  /** Of the namespaces that see the second, those that see the first as well. */
  readonly met: 'everywhere' | 'somewhere' | 'nowhere';
}

/** What is shown to some namespaces by name comes before what is shown to all; else the older one. */
export function rivalryOf(older: Service, younger: Service): Rivalry {
  const narrower = isPublic(older) && !isPublic(younger);
  const [first, second] = narrower ? [younger, older] : [older, younger];
  return { first, second, met: meeting(first, second) };
}

function meeting(first: Service, second: Service): Rivalry['met'] {
  if (isPublic(first)) return 'everywhere';
  const toFirst = namespacesOf(first);
  if (toFirst.size === 0) return 'nowhere';
  if (isPublic(second)) return 'somewhere';
  const toSecond = [...namespacesOf(second)];
  const both = toSecond.filter((namespace) => toFirst.has(namespace));
  if (both.length === 0) return 'nowhere';
  return both.length === toSecond.length ? 'everywhere' : 'somewhere';
}

function isPublic({ exportTo }: Service): boolean {
  return exportTo.has('*');
}

function namespacesOf({ exportTo, namespace }: Service): ReadonlySet<string> {
  return new Set([...exportTo].filter((name) => name !== '~').map((name) => (name === '.' ? namespace : name)));
}

/** SP1018: `ports` of the younger one that another has as well, a Kubernetes Service or an older object. */
export function repeated(winner: Service, younger: Service, ports: readonly ServicePort[]): Finding {
  const numbers = numbersOf(ports);
  if (winner.registry === 'Kubernetes' && younger.registry !== 'Kubernetes') {
    const message = `${alsoDeclared(winner)}, and a Kubernetes Service comes before it: what is said here of port ${numbers} has no effect, save that its endpoints are added and its addresses lead to the same cluster. ${ONE_OBJECT}`;
    return aboutHosts(younger.resource, 'SP1018', message);
  }
  const { first, second, met } = rivalryOf(winner, younger);
  const counts = first === winner ? 'the older object counts' : 'that one counts, as exportTo shows it to fewer';
  const known = first === winner ? 'the youngest' : 'the one that everybody sees';
  const effect =
    `what is said here of port ${numbers} has no effect, save that its endpoints are added and its addresses lead to the same cluster ` +
    `(an HTTP host is known by the addresses of ${known} alone). ${ONE_OBJECT}`;
  const said = {
    everywhere: `, and ${counts}: ${effect}`,
    somewhere: `. Where exportTo shows both, ${counts}: ${effect}`,
    nowhere:
      `. exportTo shows both to no namespace, but the endpoints of one object for port ${numbers} are endpoints of the other as well, ` +
      'where its resolution takes them. Give them namespaces of their own.',
  };
  return aboutHosts(second.resource, 'SP1018', alsoDeclared(first) + said[met]);
}

const ONE_OBJECT = 'Declare a port of a host in one object.';

/**
 * SP1018: two that can't be joined (see joined.ts). @param kept the ports that the younger one alone has
 * @returns undefined where nobody sees both
 */
export function unlike(oldest: Service, younger: Service, kept: readonly ServicePort[]): Finding | undefined {
  const { first, second, met } = rivalryOf(oldest, younger);
  if (met === 'nowhere') return undefined;
  const comesFirst = oldest.registry === 'Kubernetes' ? 'is a Kubernetes Service, which comes first' : 'is older';
  const [why, ports] = first === oldest ? [comesFirst, kept] : ['comes first, as exportTo shows it to fewer', oldest.ports];
  const where = met === 'somewhere' ? ', where both are seen,' : '';
  const message =
    `${alsoDeclared(first)}, and ${why}. As the two differ in resolution, labels, workloadSelector or exportTo, there is${where} no cluster ` +
    `for port ${numbersOf(ports)}: calls to it are answered 503 NC or closed. Make them alike, or one object.`;
  return aboutHosts(second.resource, 'SP1018', message);
}

function alsoDeclared({ resource, hostname }: Service): string {
  return `${resourceText(resource)} declares ${hostname} in this namespace as well`;
}

function numbersOf(ports: readonly ServicePort[]): string {
  return ports.map(({ number }) => number).join(', ');
}

export function aboutHosts(resource: Resource, code: string, message: string): Finding {
  return {
    code,
    level: 'Warning',
    message,
    origin: originOf(resource),
    // The finding is kept while the object may move in its file.
    get position() {
      return resource.source.position(['spec', 'hosts']);
    },
  };
}
