/** What an egress gateway gets of Secrets for the calls of an EgressPolicy: credentials, and the certificate that it shows. */
import type { EgressDestination, EgressPolicy } from '../egress-policy.ts';
import { parametersProblem, placeProblem, type SecretCredential, type SecretSource } from '../inject-credentials.ts';
import { isDnsLabel, type Path, type Report } from './checks.ts';

/** A sidecar shares its pod with the workload, which is never to have the value: the gateway alone puts it in. */
export function credentialsOf(spec: EgressPolicy, { credentials }: EgressDestination, path: Path, report: Report): void {
  if (credentials.length === 0) return;
  gatewayOf(spec, path, report);
  credentials.forEach((credential, at) => {
    const problem = placeProblem(credential, credential.sigv4 !== undefined) ?? sourceProblem(credential) ?? tokenProblem(credential, spec);
    if (problem !== undefined) report({ path: [...path, at], message: problem });
    secretNameOf(credential.from.secret.name, [...path, at, 'from', 'secret', 'name'], report);
  });
}

export function clientCertificateOf(spec: EgressPolicy, report: Report): void {
  const { clientCertificate } = spec.tls ?? {};
  if (!clientCertificate) return;
  const path = ['spec', 'tls', 'clientCertificate'];
  gatewayOf(spec, path, report);
  secretNameOf(clientCertificate.secret.name, [...path, 'secret', 'name'], report);
}

/** What has to hold wherever the gateway gets something of a Secret. */
function gatewayOf({ through, tls, bind }: EgressPolicy, path: Path, report: Report): void {
  if (through !== 'gateway')
    report({
      path,
      at: 'key',
      message: 'comes from the egress gateway alone, as a sidecar shares its pod with the workload: write through: gateway',
    });
  if (!tls?.originate)
    report({ path, at: 'key', message: 'leaves within TLS alone that the gateway has verified: write tls: { originate: true }' });
  if ((bind ?? 'enforce') !== 'enforce') report({ path, at: 'key', message: `needs bind: enforce, and this policy says ${bind}` });
}

function secretNameOf(name: string, path: Path, report: Report): void {
  if (!name.split('.').every(isDnsLabel)) report({ path, message: `"${name}" is no name of a Secret` });
}

type Keys = NonNullable<SecretSource['keys']>;

const SIGNING: readonly (keyof Keys)[] = ['accessKeyId', 'secretAccessKey'];
const CLIENT: readonly (keyof Keys)[] = ['clientId', 'clientSecret'];

function sourceProblem({ sigv4, from: { secret, oauth2 } }: SecretCredential): string | undefined {
  if (sigv4 && oauth2) return 'from.oauth2 gives a token, and sigv4 signs with keys: write bearer: true';
  if (sigv4) return keysProblem(secret, 'sigv4 signs', SIGNING, ['sessionToken']);
  if (oauth2) return keysProblem(secret, 'from.oauth2 asks', CLIENT, []);
  if (secret.keys) return 'from.secret.keys are for sigv4 and from.oauth2: write key, which holds the value';
  return secret.key === undefined ? 'from.secret.key: it is missing' : undefined;
}

function keysProblem(
  { key, keys = {} }: SecretSource,
  who: string,
  needed: readonly (keyof Keys)[],
  possible: readonly (keyof Keys)[],
): string | undefined {
  const stated = (Object.keys(keys) as (keyof Keys)[]).filter((field) => keys[field] !== undefined);
  const isThose = needed.every((field) => stated.includes(field)) && stated.every((field) => [...needed, ...possible].includes(field));
  if (key === undefined && isThose) return undefined;
  const beside = possible.length > 0 ? ` and, where there is one, ${possible.join(' and ')}` : '';
  return `${who} with several keys of the Secret: write from.secret.keys with ${needed.join(' and ')}${beside}, and no key`;
}

/** The secret of the client goes to the endpoint, so that this has to be what the policy allows and the gateway verifies. */
function tokenProblem({ from: { oauth2 } }: SecretCredential, { to, tls }: EgressPolicy): string | undefined {
  if (!oauth2) return undefined;
  const { tokenEndpoint, parameters } = oauth2;
  const url = URL.canParse(tokenEndpoint) ? new URL(tokenEndpoint) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '' || tokenEndpoint.includes('#'))
    return 'from.oauth2.tokenEndpoint: it is no URL of a token endpoint, https://HOST/PATH';
  const port = Number(url.port) || 443;
  if (tls && tls.port !== port)
    return `from.oauth2.tokenEndpoint: it is at port ${port}, and the TLS of this policy goes to port ${tls.port}: give the same`;
  if (!to.some((destination) => allowsToken(destination, url)))
    return `from.oauth2.tokenEndpoint: the gateway asks destinations of this policy alone: add ${url.hostname} to spec.to, with POST and ${url.pathname}`;
  return parametersProblem(parameters);
}

/** Whether the destination allows the request for a token. */
export function allowsToken({ hosts, methods, paths }: EgressDestination, { hostname, pathname }: URL): boolean {
  if (!hosts.some((host) => host.toLowerCase().replace(/\.$/, '') === hostname)) return false;
  if (methods.length > 0 && !methods.includes('POST')) return false;
  return paths.length === 0 || paths.some((path) => (path.endsWith('*') ? pathname.startsWith(path.slice(0, -1)) : path === pathname));
}
