/**
 * The network inside: a loopback device and nothing else. It is up, has one address of each family that is not a loopback address (resolvers ask only for
 * families of which there is one), and TCP and DNS to any address are delivered to it. For all else there is no route, so that it fails at once with
 * "network is unreachable".
 */
import { attribute, FLAG, type Message, NETLINK_ROUTE, request, u8, u16, u32 } from './netlink.ts';

const RTM_NEWLINK = 16;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_NEWRULE = 32;
/** In a new network namespace the loopback device is the first. */
const LOOPBACK = 1;
const IFF_UP = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;
const RTA_OIF = 4;
const RTA_PREFSRC = 7;
const RTN_LOCAL = 2;
const RTPROT_STATIC = 4;
const SCOPE_HOST = 254;
const FR_ACT_TO_TBL = 1;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FRA_IP_PROTO = 22;
const FRA_DPORT_RANGE = 24;
/** Any number that the kernel does not use itself. */
const TABLE = 100;
const TCP = 6;
const UDP = 17;
const DNS = 53;

export interface Family {
  readonly name: 'IPv4' | 'IPv6';
  /** AF_INET and AF_INET6 (Linux), which netfilter calls the same. */
  readonly number: 2 | 10;
  /** Of the inside: the dummy address (RFC 7600), which no other machine has, and a unique local one (RFC 4193). */
  readonly own: Buffer;
  readonly bits: 32 | 128;
}

export const IPV4: Family = { name: 'IPv4', number: 2, own: Buffer.from([192, 0, 0, 8]), bits: 32 };
export const IPV6: Family = { name: 'IPv6', number: 10, own: Buffer.from('fd53616c6c7900000000000000000001', 'hex'), bits: 128 };

const NEW = FLAG.request | FLAG.ack | FLAG.create | FLAG.exclusive;

export function loopbackUp(): void {
  const body = Buffer.concat([u8(0, 0, 0, 0), u32(LOOPBACK), u32(IFF_UP), u32(IFF_UP)]);
  request(NETLINK_ROUTE, [{ what: 'the loopback device cannot be brought up', type: RTM_NEWLINK, flags: FLAG.request | FLAG.ack, body }]);
}

/** Throws `sandbox-unavailable`. */
export function routesOf(family: Family): void {
  request(NETLINK_ROUTE, [addressMessage(family), routeMessage(family), ...ruleMessages(family)]);
}

function addressMessage({ name, number, own, bits }: Family): Message {
  return {
    what: `the inside gets no ${name} address`,
    type: RTM_NEWADDR,
    flags: NEW,
    body: Buffer.concat([
      u8(number, bits, 0, 0),
      u32(LOOPBACK),
      attribute(IFA_LOCAL, own),
      attribute(IFA_ADDRESS, own),
      attribute(IFA_FLAGS, u32(IFA_F_NODAD)),
    ]),
  };
}

function routeMessage({ name, number, own }: Family): Message {
  return {
    what: `there is no ${name} route to the inside`,
    type: RTM_NEWROUTE,
    flags: NEW,
    body: Buffer.concat([
      u8(number, 0, 0, 0, TABLE, RTPROT_STATIC, SCOPE_HOST, RTN_LOCAL),
      u32(0),
      attribute(RTA_OIF, u32(LOOPBACK)),
      attribute(RTA_PREFSRC, own),
    ]),
  };
}

function ruleMessages({ name, number }: Family): Message[] {
  const rule = (priority: number, ...conditions: Buffer[]): Message => ({
    what: `${name} traffic cannot be told apart by protocol (Linux 4.17)`,
    type: RTM_NEWRULE,
    flags: NEW,
    body: Buffer.concat([
      u8(number, 0, 0, 0, TABLE, 0, 0, FR_ACT_TO_TBL),
      u32(0),
      attribute(FRA_PRIORITY, u32(priority)),
      attribute(FRA_TABLE, u32(TABLE)),
      ...conditions,
    ]),
  });
  return [
    rule(100, attribute(FRA_IP_PROTO, u8(TCP))),
    rule(101, attribute(FRA_IP_PROTO, u8(UDP)), attribute(FRA_DPORT_RANGE, Buffer.concat([u16(DNS), u16(DNS)]))),
  ];
}
