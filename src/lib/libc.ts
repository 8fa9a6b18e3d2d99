/** What Node has no call for, through koffi; throws what its loading throws where it has no build for the system. */
import { createRequire } from 'node:module';

type Koffi = typeof import('koffi');

export function koffi(): Koffi {
  return createRequire(import.meta.url)('koffi');
}

/** The C library, as this process has it. */
export function libc(): ReturnType<Koffi['load']> {
  return koffi().load(null);
}
