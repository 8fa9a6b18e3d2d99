// Makes the calls of the table and prints what became of each. Argument: JSON with `calls`, and where it is not the system's, `resolver`; with `proxy` calls go through it.
import { Resolver, promises as system } from 'node:dns';
import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';

const { calls, resolver, proxy } = JSON.parse(process.argv[2]);
/** A call that hangs. */
const LIMIT_MS = 20_000;
const HEAD_END = '\r\n\r\n';

async function addressOf(host) {
  if (isIP(host)) return host;
  if (resolver === undefined) return (await system.lookup(host)).address;
  const asked = new Resolver();
  asked.setServers([resolver]);
  const ask = (type) => new Promise((resolve) => asked.resolve(host, type, (error, all) => resolve(error ? [] : all)));
  const [first] = [...(await ask('A')), ...(await ask('AAAA'))];
  if (first === undefined) throw new Error('no address');
  return first;
}

const bracketed = (host) => (isIP(host) === 6 ? `[${host}]` : host);

/** A connection to what the call names, through the proxy where there is one: by CONNECT, unless it is a plain request in absolute form. */
async function open({ kind, host, port, tunnel }) {
  if (!proxy) return opened(connect({ host: await addressOf(host), port }));
  const socket = await opened(connect(proxy));
  if (kind === 'http' && !tunnel) return socket;
  const target = `${bracketed(host)}:${port}`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}${HEAD_END}`);
  let head = '';
  while (!head.includes(HEAD_END)) {
    const [piece] = await once(socket, 'data');
    head += piece;
  }
  if (!/^HTTP\/1.1 200/.test(head)) throw new Error(head);
  const rest = head.slice(head.indexOf(HEAD_END) + HEAD_END.length);
  if (rest) socket.unshift(rest);
  return socket;
}

async function opened(socket) {
  await once(socket, 'connect');
  return socket;
}

function hostOf({ host, port }) {
  return port === 80 ? bracketed(host) : `${bracketed(host)}:${port}`;
}

function head({ host, port, method = 'GET', path = '/', authority, tunnel }) {
  const own = hostOf({ host, port });
  const target = proxy && !tunnel ? `http://${own}${path}` : path;
  const length = method === 'GET' ? '' : 'content-length: 0\r\n';
  return `${method} ${target} HTTP/1.1\r\nHost: ${authority ?? own}\r\n${length}connection: close${HEAD_END}`;
}

async function attempt(call) {
  let socket = await open(call);
  if (call.kind === 'tls') {
    const servername = call.sni ?? (isIP(call.host) ? '' : call.host);
    socket = connectTls({ socket, rejectUnauthorized: false, ...(servername && { servername }) });
    await once(socket, 'secureConnect');
  }
  if (call.kind === 'http') socket.write(head(call));
  let text = '';
  for await (const piece of socket) text += piece;
  const [, as] = /REACHED(?: as (.*))?/.exec(text) ?? ['', undefined];
  if (!text.includes('REACHED')) return 'refused';
  return as === undefined || as === hostOf(call) ? 'reached' : `reached as ${as}`;
}

async function verdict(call) {
  let timer;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, LIMIT_MS, 'hangs');
  });
  const result = await Promise.race([attempt(call).catch(() => 'refused'), limit]);
  clearTimeout(timer);
  return result;
}

const results = {};
for (const call of calls) results[call.name] = await verdict(call);
console.log(JSON.stringify(results));
process.exit();
