/**
 * What a client asks, read from the bytes and asked anew of other name servers: whatever else a message holds (more questions, options, what follows its
 * end, labels that read otherwise than they are) could carry data out.
 */

export interface WireQuestion {
  /** Without a trailing dot, in lower case. */
  readonly name: string;
  /** Of the records that are asked for (IANA). */
  readonly type: number;
  /** The question asked anew: the client's id, its wish for recursion, and nothing else of it but whether it takes long answers and signatures. */
  readonly anew: Buffer;
}

/** RFC 1035 §4.1.1: opcode QUERY is 0; `RD`, and of RFC 4035 `CD`. */
const OPCODE = 0x7800;
const KEPT_FLAGS = 0x0110;
const RESPONSE = 0x8000;
const CLASS_IN = 1;
const HEADER = 12;
/** RFC 6891: the type of the record for extensions, and its flag for signatures (RFC 3225). */
const OPT = 41;
const DNSSEC_OK = 0x8000;
/** What name servers answer over UDP at most (DNS Flag Day 2020). */
const UDP_SIZE = 1232;

/** Undefined for what is not one plain question. Names are of letters, digits, `-` and `_`. @param extended whether the client speaks EDNS, and asks for signatures */
export function readQuestion(message: Buffer, extended: { readonly dnssec: boolean } | undefined): WireQuestion | undefined {
  if (message.length < HEADER) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & (RESPONSE | OPCODE)) !== 0 || message.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at + 1 + length > message.length) return undefined;
    at++;
    if (length === 0) break;
    labels.push(message.toString('latin1', at, at + length).toLowerCase());
    at += length;
  }
  if (at + 4 > message.length || message.readUInt16BE(at + 2) !== CLASS_IN) return undefined;
  if (at - HEADER > 255 || !labels.every((label) => /^[a-z0-9_-]+$/.test(label))) return undefined;
  return { name: labels.join('.'), type: message.readUInt16BE(at), anew: asked(message.subarray(0, at + 4), flags & KEPT_FLAGS, extended) };
}

function asked(head: Buffer, flags: number, extended: { readonly dnssec: boolean } | undefined): Buffer {
  const out = Buffer.concat([head, extended ? optRecord(extended.dnssec) : Buffer.alloc(0)]);
  out.writeUInt16BE(flags, 2);
  out.fill(0, 6, HEADER);
  out.writeUInt16BE(extended ? 1 : 0, 10);
  return out;
}

/** At the root, without options. */
function optRecord(dnssec: boolean): Buffer {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(OPT, 1);
  record.writeUInt16BE(UDP_SIZE, 3);
  record.writeUInt16BE(dnssec ? DNSSEC_OK : 0, 7);
  return record;
}
