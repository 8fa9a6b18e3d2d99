/**
 * What the command may not regain: `no_new_privs` keeps set-user-ID programs from giving it any, and a seccomp filter leaves it the families of sockets
 * that end inside (unix, IPv4, IPv6, netlink). AF_VSOCK, for one, reaches a virtual machine's host past every network namespace. io_uring makes sockets
 * past the filter, and request_key has the kernel start programs outside that look names up, so both are said to be missing, as in containers. Nobody types into the terminal for the user (TIOCSTI).
 */
import { SallyportError } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
import { calls, must } from './system.ts';

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const PR_SET_DUMPABLE = 4;
const SECCOMP_MODE_FILTER = 2;
const ALLOWED_FAMILIES = [1, 2, 10, 16];
const EAFNOSUPPORT = 97;
const ENOSYS = 38;
const EPERM = 1;
const TIOCSTI = 0x5412;
/** Of a virtual console: pastes. */
const TIOCLINUX = 0x541c;
/** The same number on every architecture. */
const IO_URING_SETUP = 425;

interface Architecture {
  /** AUDIT_ARCH_… (linux/audit.h) */
  readonly audit: number;
  /** The number of socket(2). */
  readonly socket: number;
  readonly ioctl: number;
  readonly requestKey: number;
  /** Of socketcall(2), whose arguments no filter sees. */
  readonly socketcall?: number;
}

/** The native one first, then the one whose programs the same kernel runs as well. */
const ARCHITECTURES: Readonly<Record<string, readonly Architecture[]>> = table({
  x64: [
    { audit: 0xc000003e, socket: 41, ioctl: 16, requestKey: 249 },
    { audit: 0x40000003, socket: 359, ioctl: 54, requestKey: 287, socketcall: 102 },
  ],
  arm64: [
    { audit: 0xc00000b7, socket: 198, ioctl: 29, requestKey: 218 },
    { audit: 0x40000028, socket: 281, ioctl: 54, requestKey: 310 },
  ],
});

/** BPF (linux/filter.h): load a word of seccomp_data, jump if a bit is set, jump if equal, return. */
const LD = 0x20;
const JSET = 0x45;
const JEQ = 0x15;
const RET = 0x06;
const KILL_PROCESS = 0x80000000;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const NUMBER = 0;
const AUDIT = 4;
/** The low halves of arguments: all these architectures are little-endian. */
const FIRST_ARGUMENT = 16;
const SECOND_ARGUMENT = 24;
/** Calls of x32 have this bit, and numbers of their own for some (ioctl is 514): as hardly any kernel has them, all of them are said to be missing. */
const X32 = 0x40000000;

type Instruction = readonly [code: number, yes: number, no: number, value: number];

/** For this thread and what it starts from now on. Throws `sandbox-unavailable`. */
export function dropPrivileges(): void {
  const { prctl } = calls();
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0), 'no_new_privs cannot be set');
  const program = socketFilter(process.arch);
  must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, { len: program.length / 8, filter: program }, 0, 0), 'no seccomp filter can be set');
}

/**
 * Nobody but root reads this process's memory and variables, and a crash writes neither to disk: of one that holds secrets. Throws `sandbox-unavailable`.
 */
export function keepMemory(): void {
  must(calls().prctl(PR_SET_DUMPABLE, 0, null, 0, 0), 'the memory of this process cannot be kept from dumps');
}

/** The filter as the kernel takes it, eight bytes an instruction. Throws `sandbox-unavailable` for an architecture that it does not know. */
export function socketFilter(arch: string): Buffer {
  const known = ARCHITECTURES[arch];
  if (!known) throw new SallyportError('sandbox-unavailable', `there is no list of system calls for the architecture ${arch}`);
  const program: Instruction[] = [];
  for (const architecture of known) {
    const part = filterOf(architecture);
    program.push([LD, 0, 0, AUDIT], [JEQ, 0, part.length, architecture.audit], ...part);
  }
  program.push([RET, 0, 0, KILL_PROCESS]);
  const out = Buffer.alloc(program.length * 8);
  for (const [i, [code, yes, no, value]] of program.entries()) {
    out.writeUInt16LE(code, i * 8);
    out.writeUInt8(yes, i * 8 + 2);
    out.writeUInt8(no, i * 8 + 3);
    out.writeUInt32LE(value >>> 0, i * 8 + 4);
  }
  return out;
}

function filterOf({ socket, ioctl, requestKey, socketcall }: Architecture): Instruction[] {
  const missing = [IO_URING_SETUP, requestKey, ...(socketcall === undefined ? [] : [socketcall])];
  const families = ALLOWED_FAMILIES.map((family, i): Instruction => [JEQ, ALLOWED_FAMILIES.length - i, 0, family]);
  return [
    [LD, 0, 0, NUMBER],
    [JSET, 0, 1, X32],
    [RET, 0, 0, ERRNO | ENOSYS],
    ...missing.flatMap((number): Instruction[] => [
      [JEQ, 0, 1, number],
      [RET, 0, 0, ERRNO | ENOSYS],
    ]),
    [JEQ, 0, 5, ioctl],
    [LD, 0, 0, SECOND_ARGUMENT],
    [JEQ, 1, 0, TIOCSTI],
    [JEQ, 0, 1, TIOCLINUX],
    [RET, 0, 0, ERRNO | EPERM],
    [RET, 0, 0, ALLOW],
    [JEQ, 0, families.length + 2, socket],
    [LD, 0, 0, FIRST_ARGUMENT],
    ...families,
    [RET, 0, 0, ERRNO | EAFNOSUPPORT],
    [RET, 0, 0, ALLOW],
  ];
}
