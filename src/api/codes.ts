import type { Finding, Level } from '../lib/finding.ts';

/** What reading, decoding, the conversion of the Kubernetes Gateway API and running report, beside Istio's own IST0106 (a schema or validation rule is broken) and IST0133 (a doubtful construct). */
export const DECODING_CODES = {
  SP0001: { name: 'DocumentDoesNotParse', level: 'Error', summary: 'A document is neither YAML nor JSON; nothing of it is in force.' },
  SP0002: { name: 'FileUnreadable', level: 'Error', summary: 'A file or folder cannot be read; nothing of it is in force.' },
  SP0003: { name: 'FileTooLarge', level: 'Error', summary: 'A file is larger than the limit; nothing of it is in force.' },
  SP0004: { name: 'FileNotText', level: 'Error', summary: 'A file is not UTF-8 text; nothing of it is in force.' },
  SP0005: { name: 'NotAnObject', level: 'Error', summary: 'A document has no apiVersion, kind or name, so it is no object of the API.' },
  SP0006: { name: 'UnknownKind', level: 'Info', summary: 'An object is of a kind that Sallyport does not read; it is skipped.' },
  SP0007: {
    name: 'UnknownVersion',
    level: 'Error',
    summary: 'An object of a known kind names a version that does not exist; it is not in force.',
  },
  SP0008: {
    name: 'UnknownField',
    level: 'Error',
    summary: 'A field does not exist at this place; a cluster would refuse the object, and it is not in force.',
  },
  SP0009: { name: 'DuplicateObject', level: 'Error', summary: 'Two documents hold one object; the first is in force.' },
  SP0010: {
    name: 'EarlierVersionInForce',
    level: 'Warning',
    summary: 'An object or file broke or was emptied; what it said before stays in force.',
  },
  SP0011: {
    name: 'MeshConfigFailsClosed',
    level: 'Warning',
    summary: 'A broken MeshConfig does not say what happens to calls to unknown destinations, so they are refused.',
  },
  SP0012: {
    name: 'RouteNotAttached',
    level: 'Error',
    summary: 'A route of the Kubernetes Gateway API is not attached to a parent that it names: it is missing, or does not take the route.',
  },
  SP0013: {
    name: 'BackendRefused',
    level: 'Error',
    summary:
      'A backend of a route is of no kind that is known, or no ReferenceGrant allows the reference: requests to it are answered 500, connections closed.',
  },
  SP0014: {
    name: 'GatewayApiNotHonoured',
    level: 'Error',
    summary: 'A part of an object of the Kubernetes Gateway API can’t be served: what it concerns refuses instead of running differently.',
  },
  SP0015: {
    name: 'NoSuchKind',
    level: 'Error',
    summary:
      'An object is of a kind that its API group does not have, or of a group that does not exist; a cluster would refuse the object, and it is not in force.',
  },
  SP0016: {
    name: 'ClusterNotRead',
    level: 'Error',
    summary:
      'Objects of the cluster cannot be read, mostly for want of a permission, or are not there yet: what they do is not known, and nothing is proved beside it.',
  },
  SP0017: {
    name: 'RefusedByProxy',
    level: 'Error',
    summary: 'A proxy would not take what was made of an object; what was in force of it before stays in force there.',
  },
  SP0018: {
    name: 'EgressPolicyNotInForce',
    level: 'Error',
    summary: 'An EgressPolicy does not go together with an older one, or cannot be held to; it allows nothing.',
  },
  SP0019: { name: 'EgressPolicyEnded', level: 'Warning', summary: 'An EgressPolicy has ended; what it allowed is refused.' },
} as const satisfies Readonly<Record<string, { name: string; level: Level; summary: string }>>;

export type DecodingCode = keyof typeof DECODING_CODES;

/** The codes of errors in objects of the Gateway API that are in force all the same. */
const IN_FORCE: ReadonlySet<string> = new Set(['SP0012', 'SP0013', 'SP0014']);

/** Whether what a finding is about is not in force: nobody knows what it would do once it is mended. */
export function isBroken({ level, code }: Finding): boolean {
  return level === 'Error' && !IN_FORCE.has(code);
}
