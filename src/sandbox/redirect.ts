/**
 * What leaves a socket inside for an address that is not the inside's own ends at our listeners: a table of nf_tables rules for each family. A connection
 * between two processes inside stays between them; DNS is answered whatever server is asked, as that of the machine is often a loopback address.
 */
import { type Family, IPV4 } from './links.ts';
import { attribute, be32, FLAG, type Message, NETLINK_NETFILTER, nested, request, text, u8, u16 } from './netlink.ts';

/** linux/netfilter/nfnetlink.h, nf_tables.h */
const SUBSYSTEM = 10;
const BATCH_BEGIN = 16;
const BATCH_END = 17;
const NEW_TABLE = 0;
const NEW_CHAIN = 3;
const NEW_RULE = 6;
const LOCAL_OUT = 3;
const NAT_PRIORITY = -100;
const REGISTER = 1;
const VERDICT_REGISTER = 0;
const RETURN = -5;
const META_L4PROTO = 16;
const BASE = { network: 1, transport: 2 } as const;
const TCP = 6;
const UDP = 17;
const TABLE = 'sallyport';
const CHAIN = 'out';

export interface RedirectPorts {
  readonly capture: number;
  readonly dns: number;
}

/** Throws `sandbox-unavailable`, e.g. where the kernel has no nf_tables. */
export function redirect(family: Family, ports: RedirectPorts): void {
  const toOwn = [...ownAddresses(family)].map((conditions) => ruleMessage(family, [...conditions, verdict(RETURN)]));
  request(NETLINK_NETFILTER, [
    batch(BATCH_BEGIN),
    message(family, NEW_TABLE, 'the kernel has no nf_tables for the redirect', [attribute(1, text(TABLE))]),
    message(family, NEW_CHAIN, 'the kernel has no nf_tables chain of type nat', [
      attribute(1, text(TABLE)),
      attribute(3, text(CHAIN)),
      nested(4, attribute(1, be32(LOCAL_OUT)), attribute(2, be32(NAT_PRIORITY))),
      attribute(7, text('nat')),
    ]),
    ...[UDP, TCP].map((protocol) => ruleMessage(family, [...isProtocol(protocol), ...isPort(53), ...redirectTo(ports.dns)])),
    ...toOwn,
    ruleMessage(family, [...isProtocol(TCP), ...redirectTo(ports.capture)]),
    batch(BATCH_END),
  ]);
}

function* ownAddresses(family: Family): Generator<Buffer[]> {
  const { own } = family;
  const [offset, loopback] = family === IPV4 ? [16, Buffer.from([127])] : [24, Buffer.from(`${'00'.repeat(15)}01`, 'hex')];
  for (const address of [loopback, own]) yield [load(BASE.network, offset, address.length), compare(address)];
}

function isProtocol(number: number): Buffer[] {
  return [expression('meta', attribute(1, be32(REGISTER)), attribute(2, be32(META_L4PROTO))), compare(u8(number))];
}

function isPort(port: number): Buffer[] {
  return [load(BASE.transport, 2, 2), compare(portBytes(port))];
}

function redirectTo(port: number): Buffer[] {
  return [
    expression('immediate', attribute(1, be32(REGISTER)), nested(2, attribute(1, portBytes(port)))),
    expression('redir', attribute(1, be32(REGISTER))),
  ];
}

function load(base: number, offset: number, length: number): Buffer {
  return expression(
    'payload',
    attribute(1, be32(REGISTER)),
    attribute(2, be32(base)),
    attribute(3, be32(offset)),
    attribute(4, be32(length)),
  );
}

/** That the register is equal to the bytes. */
function compare(bytes: Buffer): Buffer {
  return expression('cmp', attribute(1, be32(REGISTER)), attribute(2, be32(0)), nested(3, attribute(1, bytes)));
}

function verdict(code: number): Buffer {
  return expression('immediate', attribute(1, be32(VERDICT_REGISTER)), nested(2, nested(2, attribute(1, be32(code)))));
}

function expression(name: string, ...data: Buffer[]): Buffer {
  return nested(1, attribute(1, text(name)), nested(2, ...data));
}

function portBytes(port: number): Buffer {
  return u8(port >> 8, port & 0xff);
}

function ruleMessage(family: Family, expressions: readonly Buffer[]): Message {
  const attributes = [attribute(1, text(TABLE)), attribute(2, text(CHAIN)), nested(4, ...expressions)];
  return message(
    family,
    NEW_RULE,
    'the kernel lacks what the redirect needs (nf_tables: meta, payload, cmp, redir)',
    attributes,
    FLAG.append,
  );
}

function message(family: Family, type: number, what: string, attributes: readonly Buffer[], flags = 0): Message {
  return {
    what: `${what} (${family.name})`,
    type: (SUBSYSTEM << 8) | type,
    flags: FLAG.request | FLAG.ack | FLAG.create | flags,
    body: Buffer.concat([u8(family.number, 0, 0, 0), ...attributes]),
  };
}

function batch(type: number): Message {
  return { what: 'the kernel has no nf_tables', type, flags: FLAG.request, body: Buffer.concat([u8(0, 0), u16(SUBSYSTEM << 8)]) };
}
