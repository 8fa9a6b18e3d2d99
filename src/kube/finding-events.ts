/** Findings as Events of the objects that they are about, where `kubectl describe` shows them. Pure. */
import { KINDS, type Kind, type KindInfo } from '../api/index.ts';
import type { Finding } from '../lib/finding.ts';
import type { Written } from './gateways/objects.ts';

/** As much as the API takes of a note, bytes. */
const MOST_NOTE = 1024;

export interface EventOptions {
  /** Of the object, as far as it is known: describe shows only Events that have it. */
  readonly uid: string | undefined;
  readonly controller: string;
  readonly identity: string;
  /** ms since the epoch. */
  readonly now: number;
}

/** Undefined for what is about no object, or only a hint. @param mended whether it no longer stands */
export function eventOf({ code, level, message, origin }: Finding, mended: boolean, options: EventOptions): Written | undefined {
  const info: KindInfo | undefined = KINDS[origin.kind as Kind];
  if (!info || level === 'Info' || origin.name === '') return undefined;
  const { uid, controller, identity, now } = options;
  const apiVersion = info.group === '' ? info.versions[0]! : `${info.group}/${info.versions[0]}`;
  // Events of cluster-scoped objects stand in default.
  const namespace = origin.namespace || 'default';
  const time = new Date(now).toISOString().replace('Z', '000Z');
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${origin.name.slice(0, 200)}.${now.toString(16)}.${code.toLowerCase()}`, namespace },
    regarding: {
      apiVersion,
      kind: info.name ?? origin.kind,
      name: origin.name,
      ...(origin.namespace && { namespace: origin.namespace }),
      ...(uid !== undefined && { uid }),
    },
    eventTime: time,
    reportingController: controller,
    reportingInstance: identity.slice(0, 128),
    type: mended ? 'Normal' : 'Warning',
    reason: mended ? 'FindingMended' : 'Finding',
    action: 'Analyzed',
    note: cut(mended ? `[${code}] no longer stands` : `[${code}] ${message}`),
  };
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= MOST_NOTE
    ? text
    : `${bytes
        .subarray(0, MOST_NOTE - 4)
        .toString()
        .replace(/\uFFFD$/, '')}…`;
}
