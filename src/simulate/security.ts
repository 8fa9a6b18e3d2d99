/** How a call is protected on its way, and whether another way protects it less. Pure. */
import type { Payload } from './call.ts';

/** What a proxy that originates TLS checks: the certificate's name too, that it is an identity of the mesh, its chain of trust only, or nothing. */
export type Verification = 'name' | 'mesh' | 'chain' | 'nothing';

/** Whether it is known which server it is, or which workload. */
export function knowsServer(verification: Verification): boolean {
  return verification === 'name' || verification === 'mesh';
}

/** TLS that a proxy originates: what it says, what it checks, and whom it shows itself as. */
export interface OriginatedTls {
  /** SNI; empty if none is sent. */
  readonly serverName: string;
  readonly verifies: Verification;
  /** The CAs that the server's certificate has to come from; empty if that is not checked. */
  readonly authorities: string;
  /** Lists of names, of each of which the certificate needs one, sorted; none if any name will do. */
  readonly names: readonly (readonly string[])[];
  /** Where the revocations are that are heeded; empty if there are none. */
  readonly revocations: string;
  /** The client's certificate; empty if it shows none. */
  readonly identity: string;
}

/** One stretch of a call's way: from the proxy that sends to whoever comes next. */
export type Leg =
  | { readonly kind: 'plain' }
  /** TLS of the application's own, which no proxy has ended: what it verifies is up to the application. */
  | ({ readonly kind: 'application' } & Receiver)
  | ({ readonly kind: 'originated' } & OriginatedTls & Receiver);

interface Receiver {
  /** Whether the proxy at the end of the stretch lets nobody in without a certificate. */
  readonly demandsCertificate?: boolean;
}

/** What a proxy sends on. */
interface Sending {
  readonly originates: OriginatedTls | undefined;
  readonly payload: Payload;
}

/** @param receiver the proxy that takes it; undefined for a server */
export function legOf({ originates, payload }: Sending, receiver: Receiver | undefined): Leg {
  const demandsCertificate = receiver?.demandsCertificate === true;
  if (originates) return { kind: 'originated', ...originates, demandsCertificate };
  return payload.tls ? { kind: 'application', demandsCertificate } : { kind: 'plain' };
}

/** `weakens`: something protects the call less, whatever else does more. `differs`: it is protected otherwise, and nobody can say whether better. */
export type Shift = 'same' | 'weakens' | 'differs' | 'strengthens';

const GRAVITY: readonly Shift[] = ['weakens', 'differs', 'strengthens'];

/** What several shifts come to. */
export function gravest(shifts: Iterable<Shift>): Shift {
  const all = new Set(shifts);
  return GRAVITY.find((shift) => all.has(shift)) ?? 'same';
}

/** What becomes of the protection of one stretch. */
export function shiftOfLeg(before: Leg, after: Leg): Shift {
  if (after.kind === 'plain') return before.kind === 'plain' ? 'same' : 'weakens';
  if (before.kind === 'plain') return 'strengthens';
  const demands = ordered(Number(before.demandsCertificate ?? false), Number(after.demandsCertificate ?? false));
  if (before.kind === 'originated' && after.kind === 'originated') return gravest([shiftOfTls(before, after), demands]);
  return gravest([before.kind === after.kind ? 'same' : 'differs', demands]);
}

/**
 * What becomes of the protection of a whole way. Of two ways that lead through as many proxies each stretch counts. Of others the last one, which the
 * server sees, and whether a stretch is left without any.
 */
export function shiftOfWay(before: readonly Leg[], after: readonly Leg[]): Shift {
  if (before.length === after.length) return gravest(after.map((leg, i) => shiftOfLeg(before[i]!, leg)));
  const last = before.length > 0 && after.length > 0 ? shiftOfLeg(before.at(-1)!, after.at(-1)!) : 'same';
  const isOpen = (legs: readonly Leg[]) => legs.length === 0 || legs.some(({ kind }) => kind === 'plain');
  return gravest([last, isOpen(after) && !isOpen(before) ? 'weakens' : 'same']);
}

const STRENGTH: Readonly<Record<Verification, number>> = { nothing: 0, chain: 1, mesh: 2, name: 2 };

function shiftOfTls(before: OriginatedTls, after: OriginatedTls): Shift {
  const shifts: Shift[] = [
    ordered(STRENGTH[before.verifies], STRENGTH[after.verifies]),
    before.serverName === after.serverName ? 'same' : 'differs',
    shiftOfOne(before.identity, after.identity),
  ];
  if (before.verifies !== 'nothing' && after.verifies !== 'nothing') {
    shifts.push(before.authorities === after.authorities ? 'same' : 'differs', shiftOfOne(before.revocations, after.revocations));
  }
  if (before.verifies === 'name' && after.verifies === 'name') shifts.push(shiftOfNames(before.names, after.names));
  return gravest(shifts);
}

function ordered(before: number, after: number): Shift {
  return before === after ? 'same' : after < before ? 'weakens' : 'strengthens';
}

/** Of something that is better there than not. */
function shiftOfOne(before: string, after: string): Shift {
  if (before === after) return 'same';
  return before === '' ? 'strengthens' : after === '' ? 'weakens' : 'differs';
}

/** Fewer names that the certificate may have are better, and so are more lists of which it needs one. */
function shiftOfNames(before: OriginatedTls['names'], after: OriginatedTls['names']): Shift {
  const [stronger, weaker] = [asksAll(after, before), asksAll(before, after)];
  if (stronger) return weaker ? 'same' : 'strengthens';
  return weaker ? 'weakens' : 'differs';
}

/** Whether a certificate that has one of each list of `lists` has one of each of `others`. */
function asksAll(lists: OriginatedTls['names'], others: OriginatedTls['names']): boolean {
  return others.every((other) => lists.some((list) => list.every((name) => other.includes(name))));
}

/** The protection of a way in words: `TLS with SNI a.example, …`, stretch by stretch where there are several and they are not all plain. */
export function wayText(legs: readonly Leg[]): string {
  const texts = legs.map(legText);
  return new Set(texts).size === 1 ? texts[0]! : texts.join(', then ');
}

export function legText(leg: Leg): string {
  switch (leg.kind) {
    case 'plain':
      return 'in plain';
    case 'application':
      return `TLS of the application's own${demandText(leg)}`;
    case 'originated':
      return `TLS with ${tlsText(leg)}${demandText(leg)}`;
  }
}

function demandText({ demandsCertificate }: Receiver): string {
  return demandsCertificate ? ', which demands a client certificate' : '';
}

/** What TLS says and checks, as a clause: `SNI a.example, verified to be a.example by the system's CAs, …`. */
export function tlsText({ serverName, verifies, authorities, names, revocations, identity }: OriginatedTls): string {
  const who =
    verifies === 'mesh'
      ? 'verified to be an identity of'
      : verifies === 'name'
        ? `verified to be ${names.map((list) => list.join(' or ')).join(' and ')} by`
        : 'verified by';
  const checked = verifies === 'nothing' ? 'verifies nothing' : `${who} ${authorities}${verifies === 'chain' ? ', whatever its name' : ''}`;
  return [
    serverName === '' ? 'no SNI' : `SNI ${serverName}`,
    checked,
    ...(revocations ? [`revocations from ${revocations}`] : []),
    ...(identity ? [`as ${identity}`] : []),
  ].join(', ');
}
