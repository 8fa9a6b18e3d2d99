/** Names of extensions that are ours and not Envoy's, and the keys under which our facts stand in xDS metadata. */

/** `metadata.filter_metadata[SALLYPORT_METADATA]`: `{ origins: [{ kind, namespace, name, file? }], refusal?: string, reach?: Reach }`. */
export const SALLYPORT_METADATA = 'sallyport';

/**
 * Listener filter of the explicit proxy: reads SOCKS5, CONNECT or an absolute-form request, looks the host up in the name table and then in
 * DNS, and sets the connection's original destination, so that the connection then takes the path of captured traffic. Its typed_config is a
 * google.protobuf.Empty.
 */
export const EXPLICIT_PROXY_FILTER = 'sallyport.filters.listener.explicit_proxy';

/**
 * HTTP filter that puts credentials into requests, by what their virtual host says (`match/credentials.ts`). Its typed_config is a google.protobuf.Empty, or
 * where values come over SDS a google.protobuf.Struct that names them (`injected-secrets.ts`).
 */
export const CREDENTIALS_FILTER = 'sallyport.filters.http.credentials';

/** Istio's clusters for what nothing declares: by REGISTRY_ONLY it ends there, by ALLOW_ANY it goes where it was dialled. */
export const BLACK_HOLE_CLUSTER = 'BlackHoleCluster';
export const PASSTHROUGH_CLUSTER = 'PassthroughCluster';
/** Its virtual hosts for what no other takes, and the names of their routes. */
export const BLOCK_ALL = 'block_all';
export const ALLOW_ANY = 'allow_any';

/** SDS names of Istio's own: the workload's certificate with its key, and the roots of the mesh. */
export const WORKLOAD_SECRET = 'default';
export const ROOT_SECRET = 'ROOTCA';

const INTERCEPTION = 'sallyport-interception://';

/** SDS name of the certificate by which a proxy stands in for a host towards its own client. Whoever runs the proxy mints it; it is in no xDS. */
export function interceptionSecret(host: string): string {
  return `${INTERCEPTION}${host}`;
}

/** The host whose certificate it is; undefined for other secrets. */
export function interceptedHost(secret: string): string | undefined {
  return secret.startsWith(INTERCEPTION) ? secret.slice(INTERCEPTION.length) : undefined;
}

/** `kid` of the key that stands in a JWT filter for keys that are not there. */
export const STAND_IN_KEY_ID = 'sallyport:not-fetched';
