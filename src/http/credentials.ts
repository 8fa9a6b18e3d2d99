/** Credentials as they stand in requests: whether a request gets one, how it is written in, and how answers are kept from telling it. */
import type { SigningKeys } from '../lib/contained.ts';
import { parseIp } from '../lib/ip.ts';
import type { Redacted } from '../lib/redacted.ts';
import { isNear } from '../lib/special-address.ts';
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { bindingOf } from '../xds/match/binding.ts';
import { type CredentialRule, isOfPolicies } from '../xds/match/credentials.ts';
import { verifiesServer } from '../xds/match/verified-tls.ts';
import type { Head } from './head.ts';
import type { HeaderMap } from './header-map.ts';
import { leavesSigning, sign } from './sigv4.ts';

/** A credential for a request that is on its way. */
export interface Injected extends Destined {
  readonly rule: CredentialRule;
  /** Of a signature `SigningKeys`, in JSON. */
  readonly value: Redacted;
  /** Of a signature: what stands for the body in it. */
  readonly payload?: string;
}

export interface Destined {
  /** The host that it is for, and no other. */
  readonly host: string;
  /** As its rule has it. */
  readonly policy: boolean;
}

/** What of a request decides, and what changes. */
type Message = Pick<Head, 'method' | 'path' | 'headers'>;

/** Whether the rule is for requests of this method and path. */
export function concerns({ methods, paths }: CredentialRule, { method, path }: Pick<Message, 'method' | 'path'>): boolean {
  if (methods.length > 0 && !methods.includes(method)) return false;
  if (paths.length === 0) return true;
  const plain = splitPath(path)[0];
  return paths.some((each) => (each.endsWith('*') ? plain.startsWith(each.slice(0, -1)) : plain === each));
}

/**
 * By which some servers take another method or path than the request's own, or one path more: what is copied, or where to (of object stores, and WebDAV).
 * Servers that put fields into variables take underscores for hyphens.
 */
const OTHER_METHOD = /^x[-_](?:http[-_]method[-_]override|http[-_]method|method[-_]override)$/;
const OTHER_PATH = /^(?:x[-_](?:original|rewrite)[-_]url|x[-_][a-z0-9]+[-_](?:copy|rename)[-_]source|destination)$/;

/** The field of a request by which a server may read it as one that the rule is not for; undefined where there is none. */
export function overriding({ methods, paths }: CredentialRule, { flat }: HeaderMap): string | undefined {
  if (methods.length === 0 && paths.length === 0) return undefined;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    // Few names begin as these do.
    if (name.charCodeAt(0) !== LETTER_X && name.charCodeAt(0) !== LETTER_D) continue;
    if (methods.length > 0 && OTHER_METHOD.test(name) && !methods.includes(flat[i + 1]!)) return name;
    if (paths.length > 0 && OTHER_PATH.test(name)) return name;
  }
  return undefined;
}

const LETTER_X = 'x'.charCodeAt(0);
const LETTER_D = 'd'.charCodeAt(0);

/** Whether the client has left the place to the proxy: nothing stands there, or the placeholder. Another token is its own, and stays. */
export function leavesPlace(rule: CredentialRule, message: Message): boolean {
  const { placeholder } = rule;
  if (rule.signing) return leavesSigning(placeholder, message);
  const found = rule.place === 'header' ? message.headers.all(rule.key) : parametersOf(message.path, rule.key);
  if (found.length === 0) return true;
  if (placeholder === undefined) return false;
  const expected = written(rule, placeholder);
  return found.every((value) => value === placeholder || value === expected);
}

/**
 * The request as it goes out. What it was made of stays as it is: logs, flows and spans read that.
 * @param now ms since the epoch
 */
export function withCredentials(
  { method, authority, ...message }: Message & Pick<Head, 'authority'>,
  injected: readonly Injected[],
  now: number,
): Message {
  const headers = message.headers.clone();
  let { path } = message;
  for (const { rule, value, payload = '' } of lastSigned(injected)) {
    if (!leavesPlace(rule, { method, headers, path })) continue;
    const { text, parameter } = formsOf(rule, value);
    if (rule.signing) sign({ method, authority, headers, path }, rule.signing, keysIn(value), payload, now);
    else if (rule.place === 'header') headers.set(rule.key, text);
    else path = withParameter(path, rule.key, parameter);
  }
  return { method, path, headers };
}

/** What is signed has to be all there. */
function lastSigned(injected: readonly Injected[]): readonly Injected[] {
  if (injected.length === 1) return injected;
  return [...injected.filter(({ rule }) => !rule.signing), ...injected.filter(({ rule }) => rule.signing)];
}

function keysIn(value: Redacted): SigningKeys {
  return JSON.parse(value.revealText());
}

/** Puts `[credential]` where a field of the answer has the value, as when a redirect repeats the query; a field whose name has it is gone. */
export function hideCredentials(headers: HeaderMap, injected: readonly Injected[]): void {
  for (const { rule, value } of injected) {
    const { hidden, shortest } = formsOf(rule, value);
    if (hidden.length > 0) hide(headers, hidden, shortest);
  }
}

/** @param shortest as many characters has the shortest of the texts */
function hide(headers: HeaderMap, texts: readonly string[], shortest: number): void {
  const { flat } = headers;
  const named = new Set<string>();
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    // Names are in lower case.
    if (name.length >= shortest && texts.some((text) => name.includes(text.toLowerCase()))) named.add(name);
    // By this one the body is framed.
    if (flat[i + 1]!.length < shortest || name === 'content-length') continue;
    for (const text of texts) if (flat[i + 1]!.includes(text)) flat[i + 1] = flat[i + 1]!.replaceAll(text, HIDDEN);
  }
  if (named.size > 0) headers.removeAll(named);
}

/** A value as it goes into requests, and what is hidden where an answer has it. */
interface Forms {
  readonly value: Redacted;
  readonly text: string;
  /** As a query has it. */
  readonly parameter: string;
  readonly hidden: readonly string[];
  readonly shortest: number;
}

/** Those of the last value: most requests have the same. */
const lastForms = new WeakMap<CredentialRule, Forms>();

function formsOf(rule: CredentialRule, value: Redacted): Forms {
  const known = lastForms.get(rule);
  if (known?.value === value) return known;
  // One that is shorter is found by chance, and no secret.
  const texts = secretsIn(rule, value).filter(({ length }) => length >= SHORTEST_HIDDEN);
  const hidden = [...new Set(texts.flatMap((text) => [written(rule, text), ...spellingsOf(text)]))];
  const shortest = Math.min(...hidden.map(({ length }) => length));
  const text = written(rule, value.revealText());
  const parameter = `${encodeURIComponent(rule.key)}=${encodeURIComponent(text)}`;
  const forms = { value, text, parameter, hidden, shortest };
  lastForms.set(rule, forms);
  return forms;
}

function secretsIn({ signing }: CredentialRule, value: Redacted): string[] {
  if (!signing) return [value.revealText()];
  const { secretAccessKey, sessionToken } = keysIn(value);
  return [secretAccessKey, ...(sessionToken === undefined ? [] : [sessionToken])];
}

/** As servers write it into fields: as it is, escaped, as forms are, and in base64. */
function spellingsOf(text: string): string[] {
  const escaped = encodeURIComponent(text);
  const lower = escaped.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
  const base64 = Buffer.from(text, 'latin1').toString('base64').replace(/=+$/, '');
  return [text, escaped, lower, escaped.replaceAll('%20', '+'), lower.replaceAll('%20', '+'), base64];
}

const SHORTEST_HIDDEN = 6;
const HIDDEN = '[credential]';

/** Why the credentials may not go to a cluster, as a clause; undefined where they may, or where that depends on the address. */
export function clusterRefusal(injected: readonly Destined[], cluster: Cluster): string | undefined {
  const binding = bindingOf(cluster.metadata);
  const stray = injected.find(({ host }) => binding?.mode !== 'enforce' || binding.hosts.length !== 1 || binding.hosts[0] !== host);
  if (stray) return `the request is led to another destination than ${stray.host}, which its credential is for`;
  const unowned = injected.find(({ policy }) => policy && !isOfPolicies(cluster.metadata));
  return unowned && `something else than an EgressPolicy says where ${unowned.host} is, or by what it is known`;
}

/** Why the credentials may not go to an address of a cluster: they leave this machine and its network by TLS alone that has shown whose server it is. */
export function addressRefusal(injected: readonly Destined[], cluster: Cluster, ip: string): string | undefined {
  const exposed = injected.filter(({ host }) => !verifiesServer(cluster, host));
  const open = exposed.find(({ policy }) => policy) ?? exposed[0];
  if (!open || (leadsNear(ip) && !open.policy)) return undefined;
  return `a credential goes to ${ip} by verified TLS alone, and calls to ${open.host} are not: write tls.originate or tls.intercept`;
}

function leadsNear(ip: string): boolean {
  // No IP address: a unix socket.
  const words = parseIp(ip);
  return words === undefined ? ip.startsWith('/') : isNear(words);
}

function written({ scheme, user }: CredentialRule, value: string): string {
  if (scheme === 'Basic') return `Basic ${Buffer.from(`${user}:${value}`, 'utf8').toString('base64')}`;
  return scheme === 'Bearer' ? `Bearer ${value}` : value;
}

/** The path, and the query without its question mark; undefined where there is none. */
function splitPath(path: string): [path: string, query: string | undefined] {
  const at = path.indexOf('?');
  return at < 0 ? [path, undefined] : [path.slice(0, at), path.slice(at + 1)];
}

function parametersOf(path: string, name: string): string[] {
  const [, query] = splitPath(path);
  if (query === undefined) return [];
  return query.split('&').flatMap((part) => (nameOf(part) === name ? [decoded(part.slice(part.indexOf('=') + 1))] : []));
}

/** @param parameter name and value, escaped */
function withParameter(path: string, name: string, parameter: string): string {
  const [plain, query] = splitPath(path);
  if (query === undefined) return `${plain}?${parameter}`;
  const others = query.split('&').filter((part) => part !== '' && nameOf(part) !== name);
  return `${plain}?${[...others, parameter].join('&')}`;
}

function nameOf(part: string): string {
  const at = part.indexOf('=');
  return decoded(at < 0 ? part : part.slice(0, at));
}

/** As forms are written (application/x-www-form-urlencoded); what is not, as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
