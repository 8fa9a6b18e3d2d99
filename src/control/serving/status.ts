/** What the clients of a control plane made of what they were sent, as `/status` and `proxy-status` have it. */
import type { ServedStream } from './served-proxies.ts';

/** One stream. */
export interface StreamJson {
  /** `NAME.NAMESPACE` */
  readonly proxy: string;
  readonly type: 'sidecar' | 'router';
  /** `address:port` of the client. */
  readonly peer: string;
  readonly protocol: 'sotw' | 'delta';
  /** Whether the client proved who it is by a certificate. */
  readonly proven: boolean;
  readonly xds: Readonly<Record<string, TypeJson>>;
}

export interface TypeJson {
  readonly state: 'NOT SENT' | 'SYNCED' | 'STALE' | 'NACK';
  /** Of a NACK, the client's own words. */
  readonly message?: string;
}

/** Types by the names that they have everywhere. */
const SHORT = {
  cluster: 'CDS',
  endpoint: 'EDS',
  listener: 'LDS',
  route: 'RDS',
  virtualHost: 'VHDS',
  secret: 'SDS',
  nameTable: 'NDS',
} as const;

export function streamsJson(streams: readonly ServedStream[]): StreamJson[] {
  return streams.map(({ identity: { type, name, namespace }, peer, proven, stream }) => ({
    proxy: `${name}.${namespace}`,
    type,
    peer,
    protocol: stream.protocol,
    proven,
    xds: Object.fromEntries(
      stream.states.map(({ type: of, state, refusal }) => [
        SHORT[of],
        { state: state.toUpperCase() as TypeJson['state'], ...(refusal ? { message: refusal.message } : {}) },
      ]),
    ),
  }));
}
