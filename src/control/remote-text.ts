/** What `proxy --xds` says of what becomes of it. */
import type { Refusal } from '../engine/contract.ts';
import { messageOf } from '../lib/errors.ts';
import { few } from '../lib/few.ts';
import type { Missing, RemoteEvent } from './remote.ts';

/** By event the lines that are said; none where it is no news. @param where the control plane is, `address:port` */
export function remoteTeller(where: string): (event: RemoteEvent) => readonly string[] {
  let lost = false;
  let ready = false;
  /** Of the change before: what is refused still is no news. */
  let refused: readonly string[] = [];
  let lacking = '';
  return (event) => {
    switch (event.kind) {
      case 'lost':
        lost = true;
        return [`the control plane at ${where} cannot be had (${event.reason}): trying again${ready ? '; what is in force stays' : ''}`];
      case 'connected': {
        const back = lost ? [`the control plane at ${where} is ${ready ? 'back' : 'there'}`] : [];
        lost = false;
        return back;
      }
      case 'waiting':
        return [`waiting for the first configuration from ${where}: ${missingText(event.missing)}`];
      case 'gave-up':
        return [`the control plane has no answer for ${missingText(event.missing)}: what refers to that goes without it`];
      case 'issued':
        return [
          `${event.first ? 'got' : 'renewed'} the certificate of ${event.identity}, good until ${new Date(event.notAfter).toISOString()}`,
        ];
      case 'not-issued':
        return [
          `${where} gives no certificate (${event.reason}): trying again; ${event.first ? NO_START : 'the one there is stays until it ends'}`,
        ];
      case 'no-identity':
        return [
          "the control plane leaves the workload's certificate to the proxy, which has none: what needs it is closed; give --xds-ca with --xds-token-file, or with --xds-cert and --xds-key",
        ];
      case 'stale':
        ready = true;
        return [
          `stale: what the control plane said last, at ${new Date(event.at).toISOString()}, is in force until it is back; what needs a secret is closed`,
        ];
      case 'not-kept':
        return [`the configuration is not kept: ${messageOf(event.error)}`];
      case 'not-ready': {
        const before = lacking;
        lacking = few(event.refused.map(({ resource }) => resource));
        return lacking === before ? [] : [`not ready: of the first configuration ${lacking} is refused, and the rest is in force`];
      }
      case 'ready':
        ready = true;
        return ['ready'];
      case 'in-force': {
        const before = refused;
        refused = refusalLines(event.refused);
        return refused.filter((line) => !before.includes(line));
      }
      case 'unreadable':
        return [`a response of the control plane is refused: ${messageOf(event.error)}; what is in force stays`];
      case 'failed':
        return [`this change could not be brought into force: ${messageOf(event.error)}`];
    }
  };
}

export function refusalLines(refused: readonly Refusal[]): string[] {
  return refused.map(({ resource, message }) => `${resource}: ${message}`);
}

const NO_START = 'the first configuration comes into force when there is one';

const WHAT = {
  cluster: 'clusters',
  endpoint: 'endpoints of',
  listener: 'listeners',
  route: 'route configuration',
  secret: 'secret',
  virtualHost: 'virtual host',
  nameTable: 'names',
} as const;

function missingText(missing: Missing): string {
  if (missing.length === 0) return 'all of it came, and is being brought into force';
  return few(missing.map(({ type, name }) => (name === undefined ? WHAT[type] : `${WHAT[type]} ${name}`)));
}
