/** What HTTP's decisions read of the connection that a request came on. A data plane's own connection object may serve as it is. */
export interface SocketEnd {
  /** An IP address, or the path of a unix socket with port 0. */
  readonly ip: string;
  readonly port: number;
}

export interface Certificate {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly subject: string;
  readonly sha256: string;
  /** The certificate, and the chain it was presented with, in PEM; absent where nobody asked for them. */
  readonly pem?: string | undefined;
  readonly chainPem?: string | undefined;
}

export interface ClientConnection {
  readonly remoteAddress: SocketEnd;
  /** Where the client connected to. */
  readonly localAddress: SocketEnd;
  /** Undefined without TLS, or where TLS does not end here. `peer`: the client's certificate; `local`: the one that was served. */
  readonly tls: { readonly peer: Certificate | undefined; readonly local?: Certificate | undefined } | undefined;
}
