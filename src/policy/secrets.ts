/** What the egress gateway gets of Secrets for the calls of EgressPolicies, each in the namespace of its policy. */
import type { EgressDestination, EgressPolicy } from '../api/egress-policy.ts';
import type { ResourceOf } from '../api/index.ts';
import { type SecretCredential, type SecretValue, secretValue, secretValueName } from '../api/inject-credentials.ts';
import { allowsToken } from '../api/rules/secret-credentials.ts';
import { SHOWN_SUBSET } from './direct.ts';
import { concerning, placeOf } from './injection.ts';
import { portsOf } from './ports.ts';

type Policy = ResourceOf<'EgressPolicy'>;

/** What the gateway puts into requests of a destination, as the annotation has it. Each is called by where its value is. */
export function secretRules({ metadata, spec }: Policy, destination: EgressDestination): object[] {
  return destination.credentials.map((credential) => {
    const { from, sigv4 } = credential;
    return {
      name: secretValueName(secretValue(metadata.namespace, from.secret)),
      ...(sigv4 ? { sigv4: { region: sigv4.region, service: sigv4.service, unsigned: true } } : placeOf(credential)),
      policy: true,
      ...(from.oauth2 && { token: tokenOf(from.oauth2, spec) }),
      ...concerning(credential, destination),
    };
  });
}

/** `port`: that by which the endpoint's host is declared, of which TLS goes to the endpoint's own. */
function tokenOf({ tokenEndpoint, scopes, parameters, authentication }: OAuth2, { to, tls }: EgressPolicy): object {
  const url = new URL(tokenEndpoint);
  const destination = to.find((each) => allowsToken(each, url))!;
  const [first] = portsOf(url.hostname, { ...destination, protocol: 'HTTP' });
  const subset = tls?.clientCertificate && SHOWN_SUBSET;
  return {
    endpoint: url.href,
    port: first!.port,
    ...(subset && { subset }),
    scopes,
    parameters,
    authentication: authentication ?? 'basic',
  };
}

type OAuth2 = NonNullable<SecretCredential['from']['oauth2']>;

/** Where the values of a policy's credentials are, each once. */
export function secretValues({ metadata, spec }: Policy): SecretValue[] {
  const values = spec.to.flatMap(({ credentials }) => credentials.map(({ from }) => secretValue(metadata.namespace, from.secret)));
  return [...new Map(values.map((value) => [secretValueName(value), value])).values()];
}

/** `NAMESPACE/NAME` of the Secret with the certificate that the gateway shows. */
export function clientCertificate({ metadata, spec }: Policy): string | undefined {
  const { clientCertificate } = spec.tls ?? {};
  return clientCertificate && `${metadata.namespace}/${clientCertificate.secret.name}`;
}
