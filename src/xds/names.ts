/** Names of extensions that are ours and not Envoy's, and the keys under which our facts stand in xDS metadata. */

/** `metadata.filter_metadata[SALLYPORT_METADATA]`: `{ origins: [{ kind, namespace, name, file? }], refusal?: string, reach?: Reach }`. */
export const SALLYPORT_METADATA = 'sallyport';

/**
 * Listener filter of the explicit proxy: reads SOCKS5, CONNECT or an absolute-form request, looks the host up in the name table and then in
 * DNS, and sets the connection's original destination, so that the connection then takes the path of captured traffic. Its typed_config is a
 * google.protobuf.Empty.
 */
export const EXPLICIT_PROXY_FILTER = 'sallyport.filters.listener.explicit_proxy';

/** SDS names of Istio's own: the workload's certificate with its key, and the roots of the mesh. */
export const WORKLOAD_SECRET = 'default';
export const ROOT_SECRET = 'ROOTCA';

/** `kid` of the key that stands in a JWT filter for keys that are not there. */
export const STAND_IN_KEY_ID = 'sallyport:not-fetched';
