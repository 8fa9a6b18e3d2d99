/**
 * Maps the lab's addresses and ports to loopback ones, so that a network of pods and outside servers stands on one machine without namespaces and
 * without root: 127/8 is local on Linux. Each network has a second octet of its own, so that two can stand at once.
 */

export interface Address {
  readonly ip: string;
  readonly port: number;
}

/** First octets of a lab network, the octets kept, and the third octet of its loopback addresses. */
const NETWORKS: readonly (readonly [string, number])[] = [
  ['10.244.1', 1],
  ['10.244.2', 2],
  ['10.244.3', 3],
  ['10.244.4', 4],
  ['198.51.100', 51],
  ['203.0.113', 113],
];
const POD_LOOPBACK = 201;
const SIDECAR_SOURCE = 206;
/** Low ports need a privilege; the others move out of the way of what may listen on this machine on every address. */
const toRealPort = (port: number) => (port === 0 ? 0 : port < 1024 ? port + 21_000 : port + 1000);
const toLabPort = (port: number) => (port >= 21_000 && port < 22_024 ? port - 21_000 : port - 1000);

export class AddressMap {
  /** Second octet of the loopback addresses, 16 to 250. */
  readonly octet: number;

  constructor(octet: number) {
    this.octet = octet;
  }

  /** Where a lab address really listens; undefined where there is no such network. `pod` is the last octet of the pod's address, for its own loopback. */
  real({ ip, port }: Address, pod: number): Address | undefined {
    if (ip === '127.0.0.6') return { ip: `127.${this.octet}.${SIDECAR_SOURCE}.${pod}`, port: toRealPort(port) };
    if (ip.startsWith('127.') || ip === 'localhost') return { ip: `127.${this.octet}.${POD_LOOPBACK}.${pod}`, port: toRealPort(port) };
    for (const [network, third] of NETWORKS) {
      if (ip.startsWith(`${network}.`)) return { ip: `127.${this.octet}.${third}.${ip.slice(network.length + 1)}`, port: toRealPort(port) };
    }
    return undefined;
  }

  /** The lab address that a real one stands for; undefined for an address of another network. */
  lab({ ip, port }: Address): Address | undefined {
    const [first, second, third, last] = ip.split('.').map(Number);
    if (first !== 127 || second !== this.octet) return undefined;
    if (third === SIDECAR_SOURCE) return { ip: '127.0.0.6', port };
    if (third === POD_LOOPBACK) return { ip: '127.0.0.1', port: toLabPort(port) };
    const network = NETWORKS.find(([, octet]) => octet === third);
    return network === undefined ? undefined : { ip: `${network[0]}.${last}`, port: toLabPort(port) };
  }
}

/** Distinguishes pods by their loopback: the last octet would be shared by pods of two networks. */
export function podNumber(ip: string): number {
  const [, , third, last] = ip.split('.').map(Number);
  return third! * 40 + (last! - 10) + 1;
}

/** The port on which a pod's redirect takes an application's outbound connections: the first line names the original destination. */
export const CAPTURE_PORT = 15_500;
