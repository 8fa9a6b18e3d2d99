/** Where a server listens. */
export interface SocketAddress {
  readonly address: string;
  /** 0 for none, or for any free one: whoever takes it says which. */
  readonly port: number;
}
