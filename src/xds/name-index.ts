/** Lookups in the name table that comes over xDS: the addresses of registered hosts, wildcards included. Pure. */
import { fromBinary } from '@bufbuild/protobuf';
import { formatIp, parseIp } from '../lib/ip.ts';
import { type NameTable, type NameTable_NameInfo, NameTable_NameInfoSchema, NameTableSchema } from './gen/istio/nds_pb.js';
import { lastValue, splitMessage } from './wire.ts';

export interface NameIndex {
  /**
   * Addresses of a host name (no trailing dot, any case). None where other name servers may be asked for them; undefined where nobody may be asked,
   * as the table does not know the name.
   */
  lookup(name: string): readonly string[] | undefined;
  /** Whether an entry other than `*`, which stands for what nothing declares, has the name. */
  declares(name: string): boolean;
  /** Whether an entry has the address, as `formatIp` writes it. */
  hasAddress(ip: string): boolean;
  readonly size: number;
}

type Entries = Iterable<readonly [host: string, info: { readonly ips: readonly string[]; readonly altHosts: readonly string[] }]>;

const TABLE = NameTableSchema.field.table.number;
/** The fields of a map's entry (protobuf's encoding of maps). */
const KEY = 1;
const VALUE = 2;
/** Entries that are read or indexed in one step. */
const STEP = 200;

/** Exact names win over wildcards, longer wildcards over shorter ones, `*` comes last; a wildcard stands for one label or more. */
export function indexNames(table: NameTable): NameIndex {
  const steps = indexEntries(Object.entries(table.table));
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The same of an encoded table, in steps between which the caller may do other things. Throws as decoding does. */
export function* indexEncodedNames(bytes: Uint8Array): Generator<void, NameIndex> {
  const decoder = new TextDecoder();
  const entries = new Map<string, NameTable_NameInfo>();
  const { parts } = splitMessage(bytes, TABLE);
  for (const [i, part] of parts.entries()) {
    const info = fromBinary(NameTable_NameInfoSchema, lastValue(part, VALUE) ?? NOTHING);
    entries.set(decoder.decode(lastValue(part, KEY)), info);
    if (i % STEP === STEP - 1) yield;
  }
  return yield* indexEntries(entries);
}

const NOTHING = new Uint8Array();

function* indexEntries(table: Entries): Generator<void, NameIndex> {
  const exact = new Map<string, readonly string[]>();
  const wildcards = new Map<string, readonly string[]>();
  const add = (host: string, ips: readonly string[]) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    const map = name.startsWith('*.') ? wildcards : exact;
    const key = name.startsWith('*.') ? name.slice(2) : name;
    if (!map.has(key)) map.set(key, ips);
  };
  const entries = [...table].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [i, [host, info]] of entries.entries()) {
    add(host, info.ips);
    if (i % STEP === STEP - 1) yield;
  }
  // Alternative names never shadow a host's own.
  for (const [, info] of entries) for (const host of info.altHosts) add(host, info.ips);
  const declared = (text: string): readonly string[] | undefined => {
    const name = text.toLowerCase();
    const found = exact.get(name);
    if (found) return found;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const wildcard = wildcards.get(name.slice(dot + 1));
      if (wildcard) return wildcard;
    }
    return undefined;
  };
  // Seldom asked for, and then often.
  let addresses: ReadonlySet<string> | undefined;
  return {
    size: entries.length,
    lookup: (name) => declared(name) ?? exact.get('*'),
    declares: (name) => declared(name) !== undefined,
    hasAddress: (ip) => {
      addresses ??= new Set([...exact.values(), ...wildcards.values()].flatMap((ips) => ips.flatMap((text) => canonical(text) ?? [])));
      return addresses.has(ip);
    },
  };
}

function canonical(ip: string): string | undefined {
  const words = parseIp(ip);
  return words && formatIp(words);
}
