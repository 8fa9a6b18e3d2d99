/** What the data plane knows of a connected socket before a transport takes it over: `net.Socket` and TLS sockets have it, and `BareSocket`, which has no `net.Socket`. Types alone. */

export interface StreamSocket {
  readonly destroyed: boolean;
  /** Undefined for a unix socket, and where the connection is over. */
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** `end` has been told. */
  readonly readableEnded: boolean;
  /** Whether our side stays open when the peer ends its own. */
  allowHalfOpen: boolean;
  on<E extends keyof StreamSocketEvents>(event: E, listener: StreamSocketEvents[E]): unknown;
  once<E extends keyof StreamSocketEvents>(event: E, listener: StreamSocketEvents[E]): unknown;
  off<E extends keyof StreamSocketEvents>(event: E, listener: StreamSocketEvents[E]): unknown;
  pause(): unknown;
  resume(): unknown;
  /** What was read and nobody has had. */
  read(): Buffer | null;
  /** The peer's end, as whoever reads in the socket's place has found it. */
  push(end: null): unknown;
  write(bytes: string | Buffer): unknown;
  /** Half-closes once everything is written. */
  end(): unknown;
  /** Closes once everything is written. */
  destroySoon(): void;
  destroy(error?: Error): unknown;
  /** Closes with RST. */
  resetAndDestroy(): unknown;
}

export interface StreamSocketEvents {
  data: (bytes: Buffer) => void;
  end: () => void;
  error: (error: Error) => void;
  /** Of one that is opened here. */
  connect: () => void;
  /** Once, as the last. */
  close: () => void;
}
