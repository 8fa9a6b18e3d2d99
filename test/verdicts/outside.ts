/** The outside world of the table: a name server, and servers that answer whoever reaches them. Arguments: address of the name server, certificate, key. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as httpServer } from 'node:http';
import { isIPv6, createServer as tcpServer } from 'node:net';
import { createServer as tlsServer } from 'node:tls';
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { ADDRESSES, NAMES, PORTS } from './table.ts';

const NAME_ERROR = 3;
const [nameServer, cert, key] = process.argv.slice(2) as [string, string, string];
const pair = { cert: readFileSync(cert), key: readFileSync(key) };

const names = createSocket('udp4').on('message', (message, from) => {
  const query = decode(message);
  const [question] = query.questions ?? [];
  const address = NAMES[question?.name ?? ''];
  const type = address !== undefined && isIPv6(address) ? 'AAAA' : 'A';
  const answers: Answer[] = address !== undefined && question?.type === type ? [{ type, name: question.name, ttl: 60, data: address }] : [];
  const flags = RECURSION_DESIRED | (address === undefined ? NAME_ERROR : 0);
  names.send(encode({ type: 'response', id: query.id ?? 0, flags, questions: query.questions ?? [], answers }), from.port, from.address);
});
names.bind(53, nameServer);
await once(names, 'listening');

const reached = 'REACHED';
for (const address of ADDRESSES) {
  const servers = [
    ...PORTS.http.map((port) =>
      httpServer(({ headers }, response) => response.end(`${reached} as ${headers.host}\n`)).listen(port, address),
    ),
    ...PORTS.tls.map((port) => tlsServer(pair, (socket) => socket.on('error', () => undefined).end(reached)).listen(port, address)),
    ...PORTS.tcp.map((port) => tcpServer((socket) => socket.on('error', () => undefined).end(reached)).listen(port, address)),
  ];
  await Promise.all(servers.map((server) => once(server, 'listening')));
}
console.log('serving');
