/**
 * Gives an accepted socket's connection to a new socket that reads into a buffer of ours. Node has no public way to do that for accepted connections
 * (`onread` exists for outgoing ones); it halves the cost of moving bytes. Where the internals are not as expected, the caller reads `data` events.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';

interface StreamHandle {
  reading: boolean;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
}

interface WithHandle {
  _handle: StreamHandle | null;
}

interface TakenOver {
  readonly socket: Socket;
  /** What the old socket had read and not given to anybody. */
  readonly unread: Buffer | undefined;
}

/** Undefined for TLS and for sockets without a handle: they stay as they are. */
export function takeOver(old: Socket, onread: OnReadOpts): TakenOver | undefined {
  const owner = old as unknown as WithHandle;
  const handle = owner._handle;
  if (old instanceof TLSSocket || !handle || typeof handle.useUserBuffer !== 'function' || old.destroyed || old.readableEnded)
    return undefined;
  const pieces: Buffer[] = [];
  for (let piece = old.read() as Buffer | null; piece !== null; piece = old.read() as Buffer | null) pieces.push(piece);
  handle.readStop();
  handle.reading = false;
  // Without its handle the old socket is an empty shell; destroying it settles the server's count of connections.
  owner._handle = null;
  old.destroy();
  const options = { handle, onread, allowHalfOpen: true } as unknown as SocketConstructorOpts;
  return { socket: new Socket(options), unread: pieces.length === 0 ? undefined : Buffer.concat(pieces) };
}
