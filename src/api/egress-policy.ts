import { allowedRequests } from './allow-list.ts';
import { secretCredentials } from './inject-credentials.ts';
import { boolean, enumeration, type Infer, list, map, object, port, required, string, withDefault } from './schema.ts';

/** Workloads: each field that is there narrows it. */
const caller = object({
  /** Without: the policy's own. */
  namespace: string({ maxLength: 63 }),
  labels: map(string({ maxLength: 63 }), { maxProperties: 64 }),
  /** The identity that a sidecar shows, which a gateway alone can judge. */
  serviceAccounts: list(string({ minLength: 1, maxLength: 253 }), { maxItems: 64 }),
});
export type EgressCaller = Infer<typeof caller>;

const destination = object({
  /** Names, `*.suffix`, or addresses. */
  hosts: required(list(string({ minLength: 1, maxLength: 253 }), { minItems: 1, maxItems: 1000 })),
  ...allowedRequests,
  /** What the gateway puts into these requests, and the workload never has. */
  credentials: secretCredentials,
});
export type EgressDestination = Infer<typeof destination>;

/** Who may reach what outside the mesh, how, why and until when. */
export const egressPolicy = object({
  /** Any of them. Without: every workload of the policy's namespace. */
  from: list(caller, { maxItems: 64 }),
  to: required(list(destination, { minItems: 1, maxItems: 1000 })),
  /** `direct`: not through a forward proxy either. `proxy`: the company's, which `proxy` names. Without: through the mesh's forward proxy, if it has one, else directly. */
  through: enumeration('direct', 'gateway', 'proxy'),
  /** `HOST:PORT` of the ServiceEntry that is the forward proxy; with `through: gateway` it is the gateway that asks it. */
  proxy: string({ maxLength: 260 }),
  /** What becomes of a call whose name, SNI, Host and address disagree. Without: `enforce`. */
  bind: enumeration('off', 'audit', 'enforce'),
  tls: object({
    /** The application speaks plain HTTP, and TLS leaves. */
    originate: boolean(),
    /** Which port TLS goes to. */
    port: withDefault(port(), 443),
    /** What the gateway shows to servers that ask for a certificate. */
    clientCertificate: object({
      /** A Secret of the policy's own namespace, of type `kubernetes.io/tls`. */
      secret: required(object({ name: required(string({ minLength: 1, maxLength: 253 })) })),
    }),
  }),
  /** A moment (RFC 3339) before which it allows nothing. */
  starts: string({ maxLength: 64 }),
  /** A moment (RFC 3339), or a day, in UTC, which is the last one. */
  expires: string({ maxLength: 64 }),
  reason: string({ maxLength: 1000 }),
  owner: string({ maxLength: 253 }),
});
export type EgressPolicy = Infer<typeof egressPolicy>;

const DAY_MS = 86_400_000;

/** When what is written as `expires` ends, ms since the epoch; undefined if there is no such day or moment. */
export function endOf(expires: string): number | undefined {
  const [, year, month, day, time] =
    /^(\d{4})-(\d{2})-(\d{2})(T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(expires) ?? [];
  if (year === undefined) return undefined;
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day));
  // The 31st of April would be the 1st of May.
  if (new Date(midnight).toISOString().slice(0, 10) !== `${year}-${month}-${day}`) return undefined;
  const end = time === undefined ? midnight + DAY_MS : Date.parse(expires);
  return Number.isNaN(end) ? undefined : end;
}
