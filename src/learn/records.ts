/** Access logs as records: the default text lines of Envoy and of Istio, and JSON lines with the usual keys. Pure. */

/** What one line says of a request or a connection. Empty strings where it says nothing. */
export interface LogRecord {
  /** RFC 3339, or empty. */
  readonly time: string;
  readonly method: string;
  readonly path: string;
  /** `HTTP/1.1`, `HTTP/2`; empty for connections. */
  readonly protocol: string;
  readonly flags: string;
  /** Why it ended so, in Envoy's words. */
  readonly details: string;
  readonly authority: string;
  readonly serverName: string;
  readonly cluster: string;
  readonly route: string;
  /** `address:port` of the upstream host. */
  readonly upstream: string;
  /** `address:port` that the client connected to. */
  readonly local: string;
  /** `address:port` of the client. */
  readonly remote: string;
}

/**
 * A line: a record; `damaged` if it looks like one and cannot be read, so that a call may be missing; `foreign` if it is something else, such as what
 * a proxy says of itself.
 */
type ParsedLine = { readonly kind: 'record'; readonly record: LogRecord } | { readonly kind: 'damaged' | 'foreign'; readonly why: string };

const FOREIGN: ParsedLine = { kind: 'foreign', why: 'no record of a proxy' };

export function parseLine(line: string): ParsedLine {
  const brace = line.indexOf('{');
  // The text before it is a prefix that the log collector added.
  if (brace >= 0 && !line.slice(0, brace).includes('"')) return fromJson(line.slice(brace));
  return fromText(line);
}

/** The keys that each field may have: Istio's default, and names of operators. */
const KEYS = {
  time: ['start_time', 'time', 'timestamp', 't', 'at'],
  method: ['method'],
  path: ['path'],
  protocol: ['protocol'],
  flags: ['response_flags', 'flags'],
  details: ['response_code_details', 'details'],
  authority: ['authority', 'host'],
  serverName: ['requested_server_name', 'sni'],
  cluster: ['upstream_cluster', 'cluster', 'upstream_cluster_raw'],
  route: ['route_name', 'route'],
  upstream: ['upstream_host', 'upstream'],
  local: ['downstream_local_address', 'local'],
  remote: ['downstream_remote_address', 'remote'],
} as const satisfies Record<keyof LogRecord, readonly string[]>;

const FIELDS = Object.keys(KEYS) as (keyof LogRecord)[];

function fromJson(text: string): ParsedLine {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { kind: 'damaged', why: 'it starts as JSON and is none: cut off, or mixed with another line' };
  }
  const fields = parsed as Readonly<Record<string, unknown>>;
  // As container runtimes keep what a program wrote.
  if (typeof fields.log === 'string') return parseLine(fields.log.trimEnd());
  const value = (field: keyof LogRecord) => {
    const key = KEYS[field].find((name) => fields[name] !== undefined && fields[name] !== null);
    return key === undefined ? '' : dashless(String(fields[key]));
  };
  const record = Object.fromEntries(FIELDS.map((field) => [field, value(field)])) as unknown as LogRecord;
  return isRecord(record) ? { kind: 'record', record: timed(record) } : FOREIGN;
}

/** `[time] "GET / HTTP/1.1" 200 - …`: Envoy's fields, or Istio's, which are more. */
function fromText(line: string): ParsedLine {
  const start = /\[([^\][]*)\] "/.exec(line);
  if (!start) return FOREIGN;
  const rest = line.slice(start.index + start[0].length).trimEnd();
  // No request line has a quote and a space after it: a path has no spaces.
  const end = rest.indexOf('" ');
  const [method, path, protocol, ...more] = rest.slice(0, Math.max(end, 0)).split(' ');
  const [code = '', flags = '', details = ''] = rest.slice(end + 2).split(' ', 3);
  if (end < 0 || protocol === undefined || more.length > 0 || !/^\d+$/.test(code)) return FOREIGN;
  const tail = rest.endsWith('"') ? envoyTail(rest.slice(end + 2), details) : istioTail(rest);
  if (!tail) {
    return { kind: 'damaged', why: "it has not the fields of Envoy's or Istio's default text; a format of one's own is read as JSON only" };
  }
  const head = { time: start[1]!, method, path, protocol, flags };
  const record = { ...head, details: '', serverName: '', cluster: '', route: '', local: '', remote: '', ...tail };
  const dashed = Object.fromEntries(FIELDS.map((field) => [field, dashless(record[field] ?? '')])) as unknown as LogRecord;
  return isRecord(dashed) ? { kind: 'record', record: timed(dashed) } : FOREIGN;
}

type Tail = Pick<LogRecord, 'authority' | 'upstream'> & Partial<LogRecord>;

/** `… "request id" "authority" "upstream"`; before it the bytes and times follow the flags at once. */
function envoyTail(text: string, received: string): Tail | undefined {
  const fields = new FromEnd(text);
  const upstream = fields.quoted();
  const authority = fields.quoted();
  if (!/^\d+$/.test(received) || upstream === undefined || authority === undefined || !isAddressOrNone(upstream)) return undefined;
  return { authority, upstream };
}

/** `… "authority" "upstream" cluster upstream-local local remote server-name route`. */
function istioTail(text: string): Tail | undefined {
  const fields = new FromEnd(text);
  const route = fields.word();
  const serverName = fields.word();
  const remote = fields.word();
  const local = fields.word();
  fields.word();
  const cluster = fields.word();
  const upstream = fields.quoted();
  const authority = fields.quoted();
  if (upstream === undefined || authority === undefined || ![upstream, local, remote].every(isAddressOrNone)) return undefined;
  const details = /^.*?" \d+ \S+ (\S+) /.exec(text)?.[1] ?? '';
  return { authority, upstream, cluster, local, remote, serverName, route, details };
}

/** Reads fields from the end of a line: what clients write stands before them, quotes and spaces included. */
class FromEnd {
  #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  word(): string {
    const at = this.#text.lastIndexOf(' ');
    const word = this.#text.slice(at + 1);
    this.#text = this.#text.slice(0, Math.max(at, 0));
    return word;
  }

  /** Undefined if there is none. */
  quoted(): string | undefined {
    if (!this.#text.endsWith('"')) return undefined;
    const at = this.#text.lastIndexOf('"', this.#text.length - 2);
    if (at < 0) return undefined;
    const word = this.#text.slice(at + 1, -1);
    this.#text = this.#text.slice(0, at).trimEnd();
    return word;
  }
}

function isAddressOrNone(text: string): boolean {
  return text === '-' || /:\d+$|^\//.test(text) || text.startsWith('envoy://');
}

function dashless(text: string): string {
  return text === '-' ? '' : text;
}

/** Whether it says of a call where it went. */
function isRecord({ authority, cluster, upstream, local }: LogRecord): boolean {
  return authority !== '' || cluster !== '' || upstream !== '' || local !== '';
}

/** Seconds since the epoch become a date. */
function timed(record: LogRecord): LogRecord {
  return /^\d+(\.\d+)?$/.test(record.time) ? { ...record, time: new Date(Number(record.time) * 1000).toISOString() } : record;
}
