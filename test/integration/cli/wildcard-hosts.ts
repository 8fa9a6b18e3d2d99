/** All hosts outside, at 127.9.9.9: a name server at 127.0.0.53 leads every name there, but for those that begin with `nx`. Answers at 80, and at 443 in TLS, with the name that it was called by. Says which names were asked for. */
import { createSocket } from 'node:dgram';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { makeCertificate } from '../outside.ts';

const ADDRESS = '127.9.9.9';

const names = createSocket('udp4');
names.on('message', (message, from) => {
  const { id = 0, questions = [] } = decode(message);
  const [question] = questions;
  const name = question?.name ?? '';
  console.log(`asked for ${name}`);
  const answers = question?.type === 'A' && !name.startsWith('nx') ? [{ type: 'A' as const, name, ttl: 60, data: ADDRESS }] : [];
  names.send(encode({ type: 'response', id, flags: RECURSION_DESIRED, questions, answers }), from.port, from.address);
});
const answer: RequestListener = (asked, reply) => reply.end(`hello from ${asked.headers.host}\n`);
names.bind(53, '127.0.0.53', () => {
  createServer(answer).listen(80, ADDRESS, () => {
    createSecureServer({ ...makeCertificate('example.com') }, answer).listen(443, ADDRESS, () => console.log('serving'));
  });
});
