/** Stands for src/proxy/listener/original-dst.ts in the loopback network, whose redirect is not the kernel's. */
import type { Socket } from 'node:net';
import type { Address } from './addresses.ts';

export const ORIGINAL_DESTINATION = Symbol.for('loopback.originalDestination');

export function loadOriginalDst(): (socket: Socket) => Address | undefined {
  return (socket) => (socket as unknown as { _handle: { [ORIGINAL_DESTINATION]?: Address } | null })._handle?.[ORIGINAL_DESTINATION];
}
