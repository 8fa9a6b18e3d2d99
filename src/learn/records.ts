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
  readonly authority: string;
  readonly serverName: string;
  readonly cluster: string;
  /** `address:port` of the upstream host. */
  readonly upstream: string;
  /** `address:port` that the client connected to. */
  readonly local: string;
  /** `address:port` of the client. */
  readonly remote: string;
}

export interface ParsedLog {
  readonly records: readonly LogRecord[];
  /** Lines that are no record, by number from 1. */
  readonly unread: readonly number[];
}

export function parseLog(text: string): ParsedLog {
  const records: LogRecord[] = [];
  const unread: number[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const record = parseLine(line);
    if (record) records.push(record);
    else unread.push(i + 1);
  }
  return { records, unread };
}

function parseLine(line: string): LogRecord | undefined {
  const brace = line.indexOf('{');
  return brace >= 0 && line.trimEnd().endsWith('}') ? (fromJson(line.slice(brace)) ?? fromText(line)) : fromText(line);
}

/** The keys that each field may have: Istio's default, and names of operators. */
const KEYS = {
  time: ['start_time', 'time', 'timestamp', 't', 'at'],
  method: ['method'],
  path: ['path'],
  protocol: ['protocol'],
  flags: ['response_flags', 'flags'],
  authority: ['authority', 'host'],
  serverName: ['requested_server_name', 'sni'],
  cluster: ['upstream_cluster', 'cluster', 'upstream_cluster_raw'],
  upstream: ['upstream_host', 'upstream'],
  local: ['downstream_local_address', 'local'],
  remote: ['downstream_remote_address', 'remote'],
} as const satisfies Record<keyof LogRecord, readonly string[]>;

function fromJson(text: string): LogRecord | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const fields = parsed as Readonly<Record<string, unknown>>;
  const value = (field: keyof LogRecord) => {
    const key = KEYS[field].find((name) => fields[name] !== undefined && fields[name] !== null);
    return key === undefined ? '' : dashless(String(fields[key]));
  };
  const record = Object.fromEntries((Object.keys(KEYS) as (keyof LogRecord)[]).map((field) => [field, value(field)]));
  return completed(record as unknown as LogRecord);
}

const WORD = /"((?:[^"\\]|\\.)*)"|(\S+)/g;

/** `[time] "GET / HTTP/1.1" 200 - …`: Envoy's fields, or Istio's, which are more. */
function fromText(line: string): LogRecord | undefined {
  const match = /\[([^\]]+)\] (".*)$/.exec(line);
  if (!match) return undefined;
  const words = [...match[2]!.matchAll(WORD)].map(([, quoted, bare]) => dashless(quoted ?? bare!));
  const [request = '', , flags = ''] = words;
  const [method = '', path = '', protocol = ''] = request.split(' ').map(dashless);
  const common = { time: match[1]!, method, path, protocol, flags };
  const none = { serverName: '', cluster: '', local: '', remote: '' };
  if (words.length === 12) return completed({ ...common, ...none, authority: words[10]!, upstream: words[11]! });
  // Two details and the transport failure come after the flags.
  if (words.length < 20) return undefined;
  const [authority, upstream, cluster, , local, remote, serverName] = words.slice(13) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return completed({ ...common, authority, upstream, cluster, local, remote, serverName });
}

function dashless(text: string): string {
  return text === '-' ? '' : text;
}

/** Undefined for what is no record of a proxy; seconds since the epoch become a date. */
function completed(record: LogRecord): LogRecord | undefined {
  if (record.authority === '' && record.cluster === '' && record.upstream === '' && record.local === '') return undefined;
  return /^\d+(\.\d+)?$/.test(record.time) ? { ...record, time: new Date(Number(record.time) * 1000).toISOString() } : record;
}
