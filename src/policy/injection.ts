/** Entries of a list whose calls get credentials, and whose TLS the proxy originates or sees through: what is wrong with them, and what they stand for. Pure. */
import type { AllowListEntry } from '../api/allow-list.ts';
import { type Credential, parametersProblem, placeProblem, type SecretCredential } from '../api/inject-credentials.ts';
import { isShortName, isWildcard } from '../lib/hostname.ts';
import { isIp } from '../lib/ip.ts';
import { isLoopbackAddress } from '../lib/socket-address.ts';
import { isNearRange } from '../lib/special-address.ts';
import { LOOPBACK_NAME } from './direct.ts';
import type { AllowedPort, Requests } from './plan.ts';
import { portsOf } from './ports.ts';

/** A credential, and the requests of a host that get it. */
export interface Injection {
  /** Told apart by it. */
  readonly name: string;
  readonly host: string;
  readonly from: Credential['from'];
  /** Of a signature: the value is keys, of this id where one is written. */
  readonly keys?: { readonly accessKeyId: string | undefined };
  readonly ports: readonly number[];
  /** As the annotation has it; the value is nowhere in it. */
  readonly rule: Readonly<Record<string, unknown>>;
}

/** The ports of an entry, with how TLS to them is treated; that nothing is wrong with it says `injectionProblem`. */
export function treatedPorts(host: string, entry: AllowListEntry): AllowedPort[] {
  const { tls } = entry;
  if (!tls?.originate && !tls?.intercept) return portsOf(host, entry);
  const usual = tls.intercept ? [443] : [80];
  return portsOf(host, { ...entry, protocol: 'HTTP', ports: entry.ports.length > 0 ? entry.ports : usual }).map((port) => ({
    ...port,
    originate: tls.intercept ? port.port : (tls.port ?? 443),
    ...(tls.intercept && { intercept: true }),
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.clientCertificate !== undefined && { certificate: { chain: tls.clientCertificate, key: tls.privateKey! } }),
  }));
}

/** The same with the paths of its files as `near` has them. */
export function placedPort({ ca, certificate, ...port }: AllowedPort, near: (path: string) => string): AllowedPort {
  return {
    ...port,
    ...(ca !== undefined && { ca: ca === 'system' ? ca : near(ca) }),
    ...(certificate && { certificate: { chain: near(certificate.chain), key: near(certificate.key) } }),
  };
}

/** Why an entry can not be what it says, or undefined. */
export function injectionProblem(host: string, entry: AllowListEntry): string | undefined {
  const { tls, credentials, protocol, bind } = entry;
  const treated = tls?.originate || tls?.intercept;
  if (tls?.originate && tls.intercept)
    return 'tls is originated of plain HTTP, or intercepted where the client speaks TLS: write one of the two';
  if (tls && !treated) return 'tls says neither originate: true nor intercept: true';
  if (tls?.port !== undefined && !tls.originate) return 'tls.port is where originated TLS goes; an intercepted call stays on its port';
  if (treated && (isIp(host) || isWildcard(host) || isShortName(host)))
    return 'TLS is originated and intercepted for the full name of one host, by which its certificate is known';
  if (tls?.originate && protocol !== undefined && protocol !== 'HTTP') return `TLS is originated of plain HTTP, not of ${protocol}`;
  if (tls?.intercept && protocol !== undefined && protocol !== 'TLS')
    return `TLS is what is intercepted, not ${protocol}: leave protocol out`;
  if (tls?.intercept && bind !== undefined && bind !== 'enforce')
    return 'what is intercepted is bound to its host: leave bind out, or write enforce';
  if ((tls?.clientCertificate === undefined) !== (tls?.privateKey === undefined))
    return 'tls.clientCertificate and tls.privateKey belong together: write both';
  if (tls?.clientCertificate !== undefined && bind !== undefined && bind !== 'enforce')
    return 'a client certificate is shown to a bound destination alone: leave bind out, or write enforce';
  if (credentials.length === 0) return undefined;
  if (isIp(host) || isWildcard(host)) return 'credentials are for the name of one host';
  if (bind !== undefined && bind !== 'enforce') return `credentials need bind: enforce, and this says ${bind}`;
  const unseen = treatedPorts(host, entry).find((port) => port.protocol !== 'HTTP');
  if (unseen?.protocol === 'TLS')
    return `calls to port ${unseen.port} are TLS between client and server, into which nothing can be put: write tls: { intercept: true }, or ports: [80] and tls: { originate: true }`;
  if (unseen) return `calls to port ${unseen.port} are ${unseen.protocol}, into which nothing can be put: write protocol: HTTP`;
  for (const [index, each] of credentials.entries()) {
    const problem = credentialProblem(each);
    if (problem !== undefined) return `credentials[${index}]: ${problem}`;
  }
  return undefined;
}

function credentialProblem({ sigv4, from, placeholder, ...place }: Credential): string | undefined {
  if (sigv4 && from.oauth2) return 'from.oauth2 gives a token, and sigv4 signs with keys: write bearer: true';
  return placeProblem(place, sigv4 !== undefined) ?? sourceProblem(from) ?? (placeholder === '' ? 'placeholder: it is empty' : undefined);
}

function sourceProblem(from: Credential['from']): string | undefined {
  const { file, environment, command, oauth2 } = from;
  const sources = [file, environment, command[0], oauth2].filter((each) => each !== undefined).length;
  if (sources !== 1) return 'from: say once where the value comes from: file, environment, command or oauth2';
  if (from.ttl !== undefined && from.command.length === 0)
    return 'from.ttl: a file is read when it changes, a variable does not, and a token says itself: ttl is for commands';
  if (command[0] === '') return 'from.command: it names no program';
  return oauth2 && oauth2Problem(oauth2);
}

type OAuth2 = NonNullable<Credential['from']['oauth2']>;

function oauth2Problem({ tokenEndpoint, clientSecret, parameters }: OAuth2): string | undefined {
  const url = URL.canParse(tokenEndpoint) ? new URL(tokenEndpoint) : undefined;
  if (url?.username !== '' || url.password !== '' || tokenEndpoint.includes('#'))
    return 'from.oauth2.tokenEndpoint: it is no URL of a token endpoint, https://HOST/PATH';
  const isNear = LOOPBACK_NAME.test(url.hostname) || isLoopbackAddress(url.hostname.replace(/^\[|\]$/g, ''));
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isNear))
    return 'from.oauth2.tokenEndpoint: the secret goes there, and over https alone: write https://HOST/PATH';
  if ((clientSecret.file === undefined) === (clientSecret.environment === undefined))
    return 'from.oauth2.clientSecret: say once where it comes from: file or environment';
  return parametersProblem(parameters);
}

/** The files that hold what nobody else may have, and the variables. */
export function heldBy({ file, environment, oauth2 }: Credential['from']): {
  readonly files: readonly string[];
  readonly variables: readonly string[];
} {
  const secret = oauth2?.clientSecret;
  return {
    files: [file, secret?.file].filter((each) => each !== undefined),
    variables: [environment, secret?.environment].filter((each) => each !== undefined),
  };
}

/** The same with the paths of its files as `near` has them. */
export function placedSource(from: Credential['from'], near: (path: string) => string): Credential['from'] {
  const { file, oauth2 } = from;
  const { clientSecret, ca } = oauth2 ?? {};
  const placed = oauth2 && {
    ...oauth2,
    clientSecret: clientSecret?.file === undefined ? oauth2.clientSecret : { file: near(clientSecret.file) },
    ...(ca !== undefined && { ca: near(ca) }),
  };
  return { ...from, ...(file !== undefined && { file: near(file) }), ...(placed && { oauth2: placed }) };
}

/** @param host in lower case @param first how many the host has already */
export function injectionsOf(host: string, entry: AllowListEntry, first: number): Injection[] {
  const ports = treatedPorts(host, entry).map(({ port }) => port);
  return entry.credentials.map((credential, index) => {
    const { sigv4, from } = credential;
    const name = `${host}#${first + index + 1}`;
    const rule = { name, ports, ...(sigv4 ? signingOf(sigv4, entry) : placeOf(credential)), ...concerning(credential, entry) };
    return { name, host, from, ports, rule, ...(sigv4 && { keys: { accessKeyId: sigv4.accessKeyId } }) };
  });
}

function signingOf({ region, service }: NonNullable<Credential['sigv4']>, { tls }: AllowListEntry) {
  return { sigv4: { region, service, ...((tls?.originate || tls?.intercept) && { unsigned: true }) } };
}

export function placeOf({ header, query, bearer, basic }: Place): Readonly<Record<string, unknown>> {
  return {
    ...(query === undefined ? { header: header?.toLowerCase() ?? 'authorization' } : { query }),
    ...(bearer && { scheme: 'Bearer' }),
    ...(basic && { scheme: 'Basic', user: basic.user }),
  };
}

type Place = Pick<SecretCredential, 'header' | 'query' | 'bearer' | 'basic'>;

/** The requests that get it. */
export function concerning({ placeholder }: Pick<Credential, 'placeholder'>, { methods, paths }: Requests) {
  return {
    ...(placeholder !== undefined && { placeholder }),
    ...(methods.length > 0 && { methods }),
    ...(paths.length > 0 && { paths }),
  };
}

interface Injected {
  readonly host: string;
  readonly ports: readonly AllowedPort[];
  readonly within?: readonly string[];
  readonly injections?: readonly Injection[];
}

/** Why a credential would leave unprotected, or undefined: what is not TLS stays on this machine and in networks that were declared private. */
export function plainProblem({ host, ports, within = [], injections = [] }: Injected): string | undefined {
  const wanted = new Set(injections.flatMap((each) => each.ports));
  const plain = ports.find(({ port, originate }) => wanted.has(port) && originate === undefined);
  if (!plain || LOOPBACK_NAME.test(host)) return undefined;
  if (within.length > 0 && within.every(isNearRange)) return undefined;
  return (
    `${host}:${plain.port} is plain HTTP, in which anybody on the way reads the credential: write tls: { originate: true } (the client goes on speaking plain ` +
    `HTTP), tls: { intercept: true } (it speaks TLS), or declare where the name leads: --allow ${host}:${plain.port}=10.0.0.0/8`
  );
}
