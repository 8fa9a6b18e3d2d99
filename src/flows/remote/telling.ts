/** The call by which a proxy tells its controller of its flows: beside the stream of its configuration, over the same connection. */
import { type Client, type ClientDuplexStream, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { FlowHub } from '../hub.ts';
import { TELL_FLOWS } from './messages.ts';
import { FlowTeller } from './teller.ts';

/** Before it is tried again, ms; a random time from half of that on. */
const AGAIN_MS = 10_000;

/** Other control planes have no such method, and a controller without a console has none either: nobody asks then. Returns what ends it. */
export function tellFlows(client: Client, hub: FlowHub, metadata: () => Metadata = () => new Metadata()): () => void {
  let over = false;
  let call: ClientDuplexStream<Uint8Array, Buffer> | undefined;
  let again: NodeJS.Timeout | undefined;
  const open = () => {
    const opened = client.makeBidiStreamRequest(TELL_FLOWS, asItIs, (bytes: Buffer) => bytes, metadata());
    const teller = new FlowTeller({ hub, send: (message, taken) => opened.write(message, taken), now: () => performance.now() });
    call = opened;
    opened.on('data', (bytes: Buffer) => {
      try {
        teller.asked(bytes);
      } catch {
        opened.cancel();
      }
    });
    opened.on('error', () => {});
    opened.on('status', ({ code }: StatusObject) => {
      teller.close();
      if (over || code === status.UNIMPLEMENTED) return;
      again = setTimeout(open, AGAIN_MS * (0.5 + Math.random() / 2)).unref();
    });
    teller.begin();
  };
  open();
  return () => {
    over = true;
    clearTimeout(again);
    call?.cancel();
  };
}

function asItIs(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
