/** A list of what may be called, shorter than resources: what `run --policy` reads. Its JSON Schema: `sallyport schema AllowList`. */
import type { Finding } from '../lib/finding.ts';
import { DECODING_CODES } from './codes.ts';
import { decode, formatPath } from './decode.ts';
import { credentials, entryTls } from './inject-credentials.ts';
import { enumeration, type Infer, list, object, port, required, string, withDefault } from './schema.ts';
import { DocumentSource } from './source.ts';
import { LineIndex, splitDocuments } from './yaml/documents.ts';
import { parseYaml } from './yaml/parse.ts';

/** What of a host is allowed: the same in the short list and in an EgressPolicy. */
export const allowedRequests = {
  /** Without: 80 for HTTP and 443 for TLS. */
  ports: list(port(), { maxItems: 100 }),
  protocol: enumeration('HTTP', 'TLS', 'TCP'),
  /** Of plain HTTP. Without: all. */
  methods: list(string({ pattern: /^[A-Z][A-Z-]*$/, maxLength: 32 }), { maxItems: 40 }),
  /** Of plain HTTP, as they are or with `*` at their end, which stands for whatever follows. Without: all. */
  paths: list(string({ pattern: /^\/[^*?#\s]*\*?$/, maxLength: 2048 }), { maxItems: 1000 }),
};
const requests = object(allowedRequests);
export type AllowedRequests = Infer<typeof requests>;

export const allowList = object({
  /** Files of the same form that hold as well, from the folder of this one. */
  include: list(string({ minLength: 1, maxLength: 4096 }), { maxItems: 100 }),
  allow: withDefault(
    list(
      object({
        /** A name, `*.suffix`, or an address. */
        host: required(string({ minLength: 1, maxLength: 253 })),
        ...allowedRequests,
        why: string({ maxLength: 1000 }),
        /** The last day, in UTC, or the moment at which it ends (RFC 3339). */
        until: string({ pattern: /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?$/ }),
        /** Who answers for it. */
        owner: string({ maxLength: 253 }),
        /** What becomes of a call whose name, SNI, Host and address disagree. */
        bind: enumeration('off', 'audit', 'enforce'),
        tls: entryTls,
        /** What the proxy puts into these requests, and the command never has. */
        credentials,
      }),
      { maxItems: 10_000 },
    ),
    [],
  ),
});

export type AllowList = Infer<typeof allowList>;
export type AllowListEntry = AllowList['allow'][number];

/** With findings of level Error nothing of it may be relied on. */
export function decodeAllowList(
  text: string,
  file: string,
): { readonly list: AllowList | undefined; readonly findings: readonly Finding[] } {
  const chunks = splitDocuments(text);
  const findings: Finding[] = [];
  const [chunk] = chunks;
  const add = (code: Finding['code'], level: Finding['level'], message: string, position: Finding['position']) =>
    findings.push({ code, level, message, origin: { kind: 'AllowList', namespace: '', name: '' }, position });
  if (!chunk || chunks.length > 1) {
    add('SP0005', DECODING_CODES.SP0005.level, `it is one document with the key allow, and this has ${chunks.length}`, {
      file,
      line: 1,
      column: 1,
    });
    return { list: undefined, findings };
  }
  const source = new DocumentSource(file, chunk, new LineIndex(text));
  const parsed = parseYaml(chunk.text);
  if ('problem' in parsed) {
    add('SP0001', DECODING_CODES.SP0001.level, parsed.problem, { ...source.at(parsed.offset), file });
    return { list: undefined, findings };
  }
  const isMapping = typeof parsed.value === 'object' && parsed.value !== null;
  if (isMapping && !('allow' in parsed.value) && !('include' in parsed.value))
    add('SP0005', DECODING_CODES.SP0005.level, 'it needs allow, a list of hosts, or include, a list of files that have one', {
      ...source.position([]),
    });
  const value = decode(allowList, parsed.value ?? {}, [], (issue) => {
    const position = issue.at === 'key' ? source.keyPosition(issue.path) : source.position(issue.path);
    const where = formatPath(issue.path);
    add(issue.code, issue.level, where ? `${where}: ${issue.message}` : issue.message, position);
  });
  return { list: value as AllowList | undefined, findings };
}
