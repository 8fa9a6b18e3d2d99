import { serverPort } from './common.ts';
import { boolean, booleanValue, enumeration, type Infer, list, map, object, required, string, withDefault } from './schema.ts';

const protocolVersion = enumeration('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3');

export const serverTlsSettings = object({
  httpsRedirect: boolean(),
  mode: withDefault(enumeration('PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'), 'PASSTHROUGH'),
  serverCertificate: string(),
  privateKey: string(),
  caCertificates: string(),
  caCrl: string(),
  /** Name of a Secret in the gateway workload's namespace. */
  credentialName: string(),
  credentialNames: list(string(), { minItems: 1, maxItems: 2 }),
  caCertCredentialName: string(),
  tlsCertificates: list(object({ serverCertificate: string(), privateKey: string(), caCertificates: string() }), {
    minItems: 1,
    maxItems: 2,
  }),
  subjectAltNames: list(string()),
  verifyCertificateSpki: list(string()),
  verifyCertificateHash: list(string()),
  minProtocolVersion: withDefault(protocolVersion, 'TLS_AUTO'),
  maxProtocolVersion: withDefault(protocolVersion, 'TLS_AUTO'),
  cipherSuites: list(string()),
  ecdhCurves: list(string()),
  insecureSkipVerify: booleanValue(),
});
export type ServerTlsSettings = Infer<typeof serverTlsSettings>;

const server = object({
  port: required(serverPort),
  bind: string(),
  /** `host` or `namespace/host`; the namespace may be `*` or `.`. */
  hosts: required(list(string())),
  tls: serverTlsSettings,
  defaultEndpoint: string(),
  name: string(),
});
export type Server = Infer<typeof server>;

/** Which ports and hosts the proxies that `selector` picks (in every namespace, unless the mesh says otherwise) accept. */
export const gateway = object({ servers: list(server), selector: map(string()) });
export type Gateway = Infer<typeof gateway>;
