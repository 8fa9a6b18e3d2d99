/**
 * What a controller asks of a proxy about its calls, and what the proxy tells: JSON, one message each, over the connection on which the proxy has its
 * configuration. What comes is read field by field: a proxy may be anybody's by now.
 */
import type { PlacedOrigin } from '../../lib/origin.ts';
import { table } from '../../lib/table.ts';
import { type Flow, PROTOCOLS, type ProxyFlow, VERDICTS } from '../flow.ts';

/** Paths of the methods (gRPC), whose messages are JSON, as flows are everywhere: a proxy tells its controller, and a controller others. */
export const TELL_FLOWS = '/sallyport.flows.v1.Flows/Tell';
export const RELAY_FLOWS = '/sallyport.flows.v1.Flows/Relay';

export interface FlowsAsked {
  /** From now on so many calls a second are to be told that went well, and as many that did not; 0: none any more. */
  readonly watch?: number;
  /** So many of the calls that have ended, once. */
  readonly recent?: number;
}

/** A proxy that is connected to a controller. */
export interface ProxyReach {
  /** `namespace/name` */
  readonly proxy: string;
  /** Whether its calls are told. */
  readonly tells: boolean;
}

export interface FlowsTold<F extends ProxyFlow = ProxyFlow> {
  readonly flows: readonly F[];
  /** So many that have ended are not told. */
  readonly dropped: number;
  /** These are the ones of before, which were asked for. */
  readonly recent: boolean;
}

/** Of one message of a proxy, bytes. */
export const MOST_TOLD_BYTES = 1024 * 1024;
/** Calls in one message. */
export const MOST_TOLD = 1_000;
/** Of a text, characters: longer ones are cut. */
const LONGEST = 2048;
const MOST_LISTED = 64;

/** Throws for what is no question. */
export function askedIn(bytes: Uint8Array): FlowsAsked {
  const { watch, recent } = objectIn(bytes);
  return { ...(isCount(watch) && { watch }), ...(isCount(recent) && { recent }) };
}

export function askedBytes(asked: FlowsAsked): Uint8Array {
  return Buffer.from(JSON.stringify(asked));
}

/** What a proxy tells. Flows that cannot be read count as dropped. Throws for what is no such message. */
export function toldIn(bytes: Uint8Array): FlowsTold {
  return toldBy(bytes, flowIn);
}

/** What another controller tells: of which proxies, it says.; or only which are connected to it. Throws as `toldIn`. */
export function relayedIn(bytes: Uint8Array): FlowsTold<Flow> | readonly ProxyReach[] {
  const { reach } = objectIn(bytes);
  return reach === undefined ? toldBy(bytes, relayedFlow) : (allOf(reachIn)(reach) ?? []);
}

export function reachBytes(reach: readonly ProxyReach[]): Uint8Array {
  return Buffer.from(JSON.stringify({ reach }));
}

function toldBy<F extends ProxyFlow>(bytes: Uint8Array, readFlow: (value: unknown) => F | undefined): FlowsTold<F> {
  const { flows, dropped, recent } = objectIn(bytes);
  if (!Array.isArray(flows) || flows.length > MOST_TOLD || !isCount(dropped)) throw new Error('this is no message that tells of calls');
  const read = flows.flatMap((flow) => readFlow(flow) ?? []);
  return { flows: read, dropped: dropped + flows.length - read.length, recent: recent === true };
}

/** @param flows each as JSON */
export function toldBytes(flows: readonly string[], dropped: number, recent = false): Uint8Array {
  return Buffer.from(`{"flows":[${flows.join()}],"dropped":${dropped}${recent ? ',"recent":true' : ''}}`);
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  if (!isObject(value)) throw new Error('this is no object');
  return value;
}

/** What is not as it is to be is undefined. */
type Reader<T> = (value: unknown) => T | undefined;

const text: Reader<string> = (value) => (typeof value === 'string' ? value.slice(0, LONGEST) : undefined);
const count: Reader<number> = (value) => (isCount(value) ? value : undefined);
const time: Reader<string> = (value) => {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
};

function oneOf<T extends string>(values: readonly T[]): Reader<T> {
  return (value) => values.find((each) => each === value);
}

function allOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value) => (Array.isArray(value) ? value.flatMap((item) => read(item) ?? []) : undefined);
}

function listOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value) => allOf(read)(Array.isArray(value) ? value.slice(0, MOST_LISTED) : value);
}

const reachIn: Reader<ProxyReach> = (value) => {
  const proxy = isObject(value) ? text(value.proxy) : undefined;
  return proxy === undefined ? undefined : { proxy, tells: (value as { readonly tells?: unknown }).tells === true };
};

const origin: Reader<PlacedOrigin> = (value) => {
  if (!isObject(value)) return undefined;
  const [kind, namespace, name, file, line] = [
    text(value.kind),
    text(value.namespace),
    text(value.name),
    text(value.file),
    count(value.line),
  ];
  if (kind === undefined || namespace === undefined || name === undefined) return undefined;
  return { kind, namespace, name, ...(file !== undefined && { file }), ...(line !== undefined && { line }) };
};

const FIELDS: { readonly [F in keyof ProxyFlow]-?: Reader<NonNullable<ProxyFlow[F]>> } = {
  kind: oneOf(['begin', 'end']),
  time,
  id: text,
  workload: text,
  source: text,
  destination: text,
  host: text,
  port: count,
  protocol: oneOf(PROTOCOLS),
  method: text,
  // Queries may hold what is secret.
  path: (value) => text(value)?.replace(/[?#].*$/s, ''),
  cluster: text,
  undeclared: (value) => (value === true ? value : undefined),
  route: text,
  origins: listOf(origin),
  verdict: oneOf(VERDICTS),
  reason: text,
  status: count,
  upstream: text,
  responseFlags: listOf(text),
  responseCodeDetails: text,
  bytesSent: count,
  bytesReceived: count,
  duration: (value) => (typeof value === 'number' && value >= 0 ? value : undefined),
};
const READERS = Object.entries(table<Reader<unknown>>(FIELDS));

const ALWAYS = ['kind', 'time', 'id', 'source', 'host', 'port', 'protocol'] as const;
const AT_THE_END = ['verdict', 'bytesSent', 'bytesReceived', 'duration'] as const;

/** A flow with the fields that there are, and no others; undefined for what lacks one that each has. */
export function flowIn(value: unknown): ProxyFlow | undefined {
  if (!isObject(value)) return undefined;
  const flow: Record<string, unknown> = {};
  for (const [name, read] of READERS) {
    const field = read(value[name]);
    if (field !== undefined) flow[name] = field;
  }
  const needed = flow.kind === 'end' ? [...ALWAYS, ...AT_THE_END] : ALWAYS;
  return needed.every((name) => Object.hasOwn(flow, name)) ? (flow as unknown as ProxyFlow) : undefined;
}

const ROLES = ['sidecar', 'router'] as const;

function relayedFlow(value: unknown): Flow | undefined {
  const flow = flowIn(value);
  if (!flow || !isObject(value)) return undefined;
  const [proxy, role, gateway] = [text(value.proxy), oneOf(ROLES)(value.role), text(value.gateway)];
  return proxy === undefined || role === undefined ? undefined : { ...flow, proxy, role, ...(gateway !== undefined && { gateway }) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
