/** Who hears of connections whose TLS is intercepted: of clients that do not go on with the proxy's certificate nothing else tells. Types alone. */
import type { Address } from '../types.ts';

export interface InterceptionWatch {
  /** The handshake failed. */
  failed(connection: InterceptedConnection, failure: string): void;
  /** It is through, and requests may come. */
  began(connection: InterceptedConnection): void;
  /** The connection is over. */
  closed(connection: InterceptedConnection): void;
}

export interface InterceptedConnection {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly client: Address;
}
