/** What the beginnings of messages hold in memory, of all connections of a server together. */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';

/** Bytes: some of the largest messages at one time. */
const MOST = 64 * 1024 * 1024;

/** Where there is too much, the connection that holds the most is ended. */
export class HeldBytes {
  readonly #ofStreams = new Map<ServerHttp2Stream, { readonly session: ServerHttp2Session; readonly bytes: number }>();
  #all = 0;

  /** @param bytes that the stream holds now */
  set(stream: ServerHttp2Stream, bytes: number): void {
    const { session } = stream;
    this.#all += bytes - (this.#ofStreams.get(stream)?.bytes ?? 0);
    if (bytes === 0 || !session) this.#ofStreams.delete(stream);
    else this.#ofStreams.set(stream, { session: session as ServerHttp2Session, bytes });
    if (this.#all > MOST) this.#endLargest();
  }

  #endLargest(): void {
    const ofSessions = new Map<ServerHttp2Session, number>();
    for (const { session, bytes } of this.#ofStreams.values()) ofSessions.set(session, (ofSessions.get(session) ?? 0) + bytes);
    const [largest] = [...ofSessions].sort(([, a], [, b]) => b - a);
    if (!largest) return;
    const [session] = largest;
    // Its streams say that they are over only later.
    for (const [stream, held] of this.#ofStreams) {
      if (held.session !== session) continue;
      this.#all -= held.bytes;
      this.#ofStreams.delete(stream);
    }
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
