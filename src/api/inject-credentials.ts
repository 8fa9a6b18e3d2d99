/** Credentials that the proxy puts into calls: as a policy writes them, and our annotations of ServiceEntries that say what goes where. */
import { boolean, duration, enumeration, type Infer, list, map, object, port, required, string } from './schema.ts';

/** A JSON list of what is put into which requests (`xds/match/credentials.ts`); each with `ports`. It names credentials, and holds no value. */
export const CREDENTIALS = 'sallyport.dev/credentials';

/** Ports, separated by commas: the client's TLS ends at the proxy, which shows a certificate for the host, and the calls leave as TLS of the proxy's own. */
export const INTERCEPT = 'sallyport.dev/intercept';

const file = () => string({ minLength: 1, maxLength: 4096 });
const variable = () => string({ pattern: /^[A-Za-z_][A-Za-z0-9_]*$/, maxLength: 256 });

/** An https URL; of a list http on this machine's loopback, too. */
const tokenEndpoint = () => required(string({ minLength: 1, maxLength: 2048 }));

/** What of a request for a token is not who the client is. */
const tokenRequest = {
  scopes: list(string({ pattern: /^[\x21\x23-\x5b\x5d-\x7e]+$/, maxLength: 1024 }), { maxItems: 100 }),
  /** What the server wants besides, as `audience` or `resource`. */
  parameters: map(string({ maxLength: 4096 }), { maxProperties: 20 }),
  /** Whether client and secret stand in `authorization` (the default) or in the body. */
  authentication: enumeration('basic', 'body'),
};

/** An access token by OAuth 2.0's client credentials (RFC 6749 §4.4), asked for by this program: the command need not be allowed the server. */
const oauth2 = object({
  tokenEndpoint: tokenEndpoint(),
  clientId: required(string({ pattern: /^[\x20-\x7e]+$/, maxLength: 1024 })),
  /** One of `file` and `environment`. */
  clientSecret: required(object({ file: file(), environment: variable() })),
  ...tokenRequest,
  /** A file with the CAs that the server is verified by. Without: those of the system. */
  ca: file(),
});

/** As regions and services of AWS are named. */
const scope = () => required(string({ pattern: /^[a-z0-9-]+$/, maxLength: 64 }));

/** Where the value goes, as it is. */
const place = {
  /** The value as a header of this name. */
  header: string({ pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, maxLength: 256 }),
  /** `authorization: Bearer VALUE` */
  bearer: boolean(),
  /** `authorization: Basic …`, of this user and the value as password. */
  basic: object({ user: required(string({ pattern: /^[\x20-\x39\x3b-\x7e]*$/, maxLength: 256 })) }),
  /** The value as a parameter of this name. */
  query: string({ minLength: 1, maxLength: 256 }),
};

/** What the client may send in its place, of `sigv4` the access key id that it signs with; with another token a request stays as it is. */
const placeholder = () => string({ pattern: /^[\x21-\x7e]+$/, maxLength: 1024 });

/** One of `header`, `bearer`, `basic`, `query` and `sigv4` says where it goes. */
export const credential = object({
  ...place,
  /**
   * The request is signed with it (AWS Signature Version 4). The value is what a `credential_process` prints, in JSON: `AccessKeyId`, `SecretAccessKey` and
   * where there is one `SessionToken`; or with `accessKeyId` the secret access key alone.
   */
  sigv4: object({ region: scope(), service: scope(), accessKeyId: string({ pattern: /^\w+$/, maxLength: 128 }) }),
  /** Where the value comes from: one of `file`, `environment`, `command` and `oauth2`. */
  from: required(
    object({
      /** Read anew when it changes; kept from the command that is run. */
      file: file(),
      /** A variable of this program; the command that is run does not get it. */
      environment: variable(),
      /** A program and its arguments: its output is the value, or an ExecCredential as kubectl's programs print it. */
      command: list(string({ maxLength: 4096 }), { maxItems: 100 }),
      /** How long the output of the command holds where it does not say when it expires. Without: 5 minutes. */
      ttl: duration(1),
      oauth2,
    }),
  ),
  placeholder: placeholder(),
});
export type Credential = Infer<typeof credential>;

const secretKey = () => string({ pattern: /^[-._a-zA-Z0-9]+$/, maxLength: 253 });

/** A Secret of the policy's own namespace, and what of it is the value: one `key`, or several. */
const secretSource = object({
  name: required(string({ minLength: 1, maxLength: 253 })),
  key: secretKey(),
  /** Of `sigv4` the first two or three, of `oauth2` the others. */
  keys: object({
    accessKeyId: secretKey(),
    secretAccessKey: secretKey(),
    sessionToken: secretKey(),
    clientId: secretKey(),
    clientSecret: secretKey(),
  }),
});
export type SecretSource = Infer<typeof secretSource>;

/** Of an EgressPolicy: one of `header`, `bearer`, `basic`, `query` and `sigv4` says where it goes. */
const secretCredential = object({
  ...place,
  /** The request is signed (AWS Signature Version 4) by the keys of the Secret. */
  sigv4: object({ region: scope(), service: scope() }),
  from: required(
    object({
      secret: required(secretSource),
      /** The value is an access token, for which the gateway asks with the client of the Secret, at a destination of the policy itself. */
      oauth2: object({ tokenEndpoint: tokenEndpoint(), ...tokenRequest }),
    }),
  ),
  placeholder: placeholder(),
});
export type SecretCredential = Infer<typeof secretCredential>;

export const secretCredentials = list(secretCredential, { maxItems: 20 });

export const credentials = list(credential, { maxItems: 100 });

/** How TLS to a host is treated. */
export const entryTls = object({
  /** The client speaks plain HTTP, and TLS leaves. */
  originate: boolean(),
  /** Which port originated TLS goes to. Without: 443. */
  port: port(),
  /** The proxy sees through the client's TLS, by a certificate of its own making that the command is told to trust. */
  intercept: boolean(),
  /** A file with the CAs that the server's certificate is verified by. Without: those of the system. */
  ca: file(),
  /** A file with the certificate, and its chain, that the proxy shows to the server which asks for one; its key is kept from the command that is run. */
  clientCertificate: file(),
  privateKey: file(),
});
export type EntryTls = Infer<typeof entryTls>;

/** Fields by which messages are framed and routed, and those of one hop alone. */
const FRAMING =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|expect|proxy-.*|x-forwarded-.*|x-envoy-.*)$/;

/** What is wrong with where a credential goes, or undefined. @param signing whether it is what requests are signed with */
export function placeProblem({ header, bearer, basic, query }: Place, signing: boolean): string | undefined {
  const places = [header !== undefined, bearer, basic !== undefined, query !== undefined, signing].filter(Boolean).length;
  if (places !== 1) return 'say once where it goes: header, bearer, basic, query or sigv4';
  return header !== undefined && FRAMING.test(header.toLowerCase()) ? `the header ${header} is not a place for a credential` : undefined;
}

type Place = Pick<SecretCredential, 'header' | 'bearer' | 'basic' | 'query'>;

/** Parameters that are the request's own. */
const OWN_PARAMETERS = ['grant_type', 'scope', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type'];

/** What is wrong with the parameters of a request for a token, or undefined. */
export function parametersProblem(parameters: Readonly<Record<string, string>>): string | undefined {
  const own = Object.keys(parameters).find((name) => OWN_PARAMETERS.includes(name));
  return own === undefined ? undefined : `from.oauth2.parameters: ${own} is not one of them: it says itself what the other fields say`;
}

/** Where the value of a credential is: a key of a Secret, or several that are fields of one value. */
export interface SecretValue {
  readonly namespace: string;
  readonly name: string;
  readonly keys: string | readonly (readonly [field: string, key: string])[];
}

export function secretValue(namespace: string, { name, key, keys }: SecretSource): SecretValue {
  if (key !== undefined) return { namespace, name, keys: key };
  const fields = Object.entries(keys ?? {}).flatMap(([field, each]) => (each === undefined ? [] : [[field, each] as const]));
  return { namespace, name, keys: fields.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

/** As values are asked for by name: `NAMESPACE/NAME/KEY`, or `NAMESPACE/NAME/FIELD=KEY,…`. */
export function secretValueName({ namespace, name, keys }: SecretValue): string {
  return `${namespace}/${name}/${typeof keys === 'string' ? keys : keys.map((pair) => pair.join('=')).join()}`;
}

export function namedSecretValue(text: string): SecretValue {
  const [namespace = '', name = '', keys = ''] = text.split('/');
  if (!keys.includes('=')) return { namespace, name, keys };
  return { namespace, name, keys: keys.split(',').map((pair) => pair.split('=') as [string, string]) };
}
