/** How a cluster's API server is reached, and as whom. */
import type { Redacted } from '../../lib/redacted.ts';

export interface ClusterAccess {
  /** The name of the context, or `in-cluster`; for messages. */
  readonly name: string;
  readonly server: URL;
  /** The namespace of objects that name none; undefined where nothing says so. */
  readonly namespace: string | undefined;
  readonly tls: ServerTls;
  readonly credentials: Credentials;
  /** Sent with each request: on whose behalf it is made (`Impersonate-*`). */
  readonly headers: readonly (readonly [string, string])[];
}

/** How the server's certificate is judged. */
export interface ServerTls {
  /** PEM; undefined for the CAs that the system trusts. */
  readonly ca: string | undefined;
  /** The name that the certificate is to have, where it is not the host's. */
  readonly serverName: string | undefined;
  /** Anybody may answer. */
  readonly insecure: boolean;
}

/** What one request proves itself by. */
export interface Presented {
  readonly authorization?: Redacted | undefined;
  readonly certificate?: ClientCertificate | undefined;
}

/** The same object as long as it is the same certificate: connections are kept by it. */
export interface ClientCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: Redacted;
}

export interface Credentials {
  /** Asked before each request. @throws SallyportError `cluster-credentials` where there are none to be had */
  present(): Promise<Presented>;
  /** The server did not take them: what is kept is forgotten. False where asking anew can change nothing. */
  renew(): boolean;
}
