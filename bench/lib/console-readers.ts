/** Consoles whose readers take what comes, as a process of their own: `node console-readers.ts PORT COOKIE COUNT`. Says `open` once all are. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

const [port, cookie, count] = process.argv.slice(2);
await Promise.all(
  Array.from({ length: Number(count) }, async () => {
    const asked = get({ host: '127.0.0.1', port: Number(port), path: '/api/v1/events', headers: { cookie: cookie! }, agent: false });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`a console is answered ${answer.statusCode}`);
    answer.resume();
  }),
);
console.log('open');
