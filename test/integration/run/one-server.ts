/** A host outside: answers `<hello>` at port 80 of the address, and there too whoever asks for the name. Arguments: name and address. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';

const [host, address] = process.argv.slice(2) as [string, string];

const names = createSocket('udp4');
names.on('message', (message, from) => {
  const { id = 0, questions = [] } = decode(message);
  const known = questions[0]?.name.toLowerCase() === host && questions[0].type === 'A';
  const answers = known ? [{ type: 'A' as const, name: host, ttl: 60, data: address }] : [];
  names.send(encode({ type: 'response', id, flags: RECURSION_DESIRED, questions, answers }), from.port, from.address);
});
names.bind(53, address, () => createServer((_asked, answer) => answer.end('<hello>\n')).listen(80, address));
