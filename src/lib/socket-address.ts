/** Where a server listens. */
export interface SocketAddress {
  readonly address: string;
  /** 0 means no port in some places and any free port in others; each place that takes an address says which. */
  readonly port: number;
}
