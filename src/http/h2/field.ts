/** One field of a head in HTTP/2: what its name and value mean is found once, also where a table repeats it in every request. */
import { knownField, otherField, SEEN } from '../fields.ts';
import { FIELD_VALUE, TARGET, TOKEN } from '../h1/chars.ts';

/** What a field is to the head that it stands in. */
export const KIND = {
  regular: 0,
  /** For this hop or for the proxy: dropped. */
  hop: 1,
  /** `host`: of use where there is no `:authority`. */
  host: 2,
  cookie: 3,
  contentLength: 4,
  /** Means something to HTTP/1 connections only, or is no field at all: the message is malformed (RFC 9113 §8.2). */
  malformed: 5,
  method: 6,
  scheme: 7,
  path: 8,
  authority: 9,
  protocol: 10,
  status: 11,
} as const;

/** The first kind that is a pseudo-header. */
export const FIRST_PSEUDO: number = KIND.method;

const KINDS: ReadonlyMap<string, number> = new Map([
  [':method', KIND.method],
  [':scheme', KIND.scheme],
  [':path', KIND.path],
  [':authority', KIND.authority],
  [':protocol', KIND.protocol],
  [':status', KIND.status],
  ['cookie', KIND.cookie],
  ['content-length', KIND.contentLength],
  ['host', KIND.host],
  ['http2-settings', KIND.hop],
  ['proxy-authorization', KIND.hop],
  ['connection', KIND.malformed],
  ['keep-alive', KIND.malformed],
  ['proxy-connection', KIND.malformed],
  ['transfer-encoding', KIND.malformed],
  ['upgrade', KIND.malformed],
]);

/** What the table adds to the length of name and value (RFC 7541 §4.1). */
const OVERHEAD = 32;

export class Field {
  readonly name: string;
  readonly value: string;
  readonly kind: number;
  /** Bits of SEEN. */
  readonly bit: number;

  constructor(name: string, value: string) {
    const known = knownField(name);
    // A known name in another spelling is not in lower case. It stays as it is: blocks may name it again by its number.
    const usual = known !== undefined && known.name === name;
    this.name = usual ? known.name : name;
    this.value = value;
    this.bit = usual ? known.bit : otherField(name).bit;
    const kind = KINDS.get(name) ?? (usual || isName(name) ? KIND.regular : KIND.malformed);
    this.kind = isRight(kind, this.bit, value) ? kind : KIND.malformed;
  }

  /** Of an entry of the table. */
  get size(): number {
    return this.name.length + this.value.length + OVERHEAD;
  }
}

/** RFC 9113 §8.2.1: a token in lower case. */
function isName(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (TOKEN[code] !== 1 || (code >= 65 && code <= 90)) return false;
  }
  return name.length > 0;
}

function isRight(kind: number, bit: number, value: string): boolean {
  if (bit === SEEN.te && value.toLowerCase() !== 'trailers') return false;
  switch (kind) {
    case KIND.method:
      return value.length > 0 && allIn(value, TOKEN);
    case KIND.scheme:
      return /^[A-Za-z][A-Za-z0-9+.-]*$/.test(value);
    case KIND.path:
      return value.length > 0 && allIn(value, TARGET);
    case KIND.status:
      return /^[1-9]\d\d$/.test(value);
    case KIND.protocol:
      return value.length > 0 && allIn(value, TOKEN);
    case KIND.contentLength:
      return /^\d{1,15}$/.test(value);
    default:
      return isValue(value);
  }
}

/** RFC 9113 §8.2.1: no white space around it, and, as in HTTP/1 here, no control character but tabs. */
function isValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(length - 1);
  return first !== 32 && first !== 9 && last !== 32 && last !== 9 && allIn(value, FIELD_VALUE);
}

function allIn(text: string, allowed: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (allowed[text.charCodeAt(i)] !== 1) return false;
  return true;
}
