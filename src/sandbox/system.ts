/** The system calls that Node does not offer, through koffi. Linux; each throws `sandbox-unavailable` with the call's error. */
import { getSystemErrorMap } from 'node:util';
import { SallyportError } from '../lib/errors.ts';
import { koffi } from '../lib/libc.ts';

type Result = number;

interface Calls {
  readonly socket: (domain: number, type: number, protocol: number) => Result;
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => Result;
  readonly recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => Result;
  readonly close: (fd: number) => Result;
  readonly prctl: (option: number, a: number, b: unknown, c: number, d: number) => Result;
  readonly mount: (source: string | null, target: string, type: string | null, flags: number, data: string | null) => Result;
  readonly mountSetattr: (call: number, folder: number, path: string, flags: number, attributes: Uint8Array, size: number) => Result;
  readonly closeRange: (call: number, first: number, last: number, flags: number) => Result;
  readonly ioctl: (fd: number, request: number) => Result;
  readonly tcgetattr: (fd: number, mode: Uint8Array) => Result;
  readonly tcsetattr: (fd: number, when: number, mode: Uint8Array) => Result;
  readonly tcflow: (fd: number, action: number) => Result;
  readonly errno: () => number;
}

let loaded: Calls | undefined;

export function calls(): Calls {
  loaded ??= load();
  return loaded;
}

function load(): Calls {
  const { load: open, struct, errno } = koffi();
  const libc = open(null);
  struct('sock_fprog', { len: 'uint16_t', filter: 'void *' });
  return {
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    send: libc.func('long send(int fd, void *bytes, size_t length, int flags)'),
    recv: libc.func('long recv(int fd, void *bytes, size_t length, int flags)'),
    close: libc.func('int close(int fd)'),
    prctl: libc.func('int prctl(int option, unsigned long a, sock_fprog *b, unsigned long c, unsigned long d)'),
    mount: libc.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)'),
    mountSetattr: libc.func('long syscall(long call, long folder, const char *path, long flags, void *attributes, long size)'),
    closeRange: libc.func('long syscall(long call, long first, long last, long flags)'),
    ioctl: libc.func('int ioctl(int fd, unsigned long request)'),
    tcgetattr: libc.func('int tcgetattr(int fd, void *mode)'),
    tcsetattr: libc.func('int tcsetattr(int fd, int when, void *mode)'),
    tcflow: libc.func('int tcflow(int fd, int action)'),
    errno: () => errno(),
  } as Calls;
}

/** The result, unless it says that the call failed. */
export function must(result: number, what: string): number {
  if (result >= 0) return result;
  throw failed(what, calls().errno());
}

/** @param errno positive */
export function failed(what: string, errno: number): SallyportError {
  const [name, meaning] = getSystemErrorMap().get(-errno) ?? [`error ${errno}`, 'unknown'];
  return new SallyportError('sandbox-unavailable', `${what}: ${meaning} (${name})`);
}

/** close_range(2), Linux 5.9, and its flag of 5.11; the same numbers on every architecture. */
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const LAST_DESCRIPTOR = 0xffff_ffff;

/** No descriptor but standard input, output and error outlives an exec: whoever started this may have left others open. */
export function closeInherited(): void {
  must(
    calls().closeRange(SYS_CLOSE_RANGE, 3, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC),
    'inherited descriptors cannot be kept from the command',
  );
}
