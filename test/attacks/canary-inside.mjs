/**
 * The command of canary.test.ts: calls again and again, then looks for the secret wherever a command can look. It is told the secret in two halves, which it never
 * puts together: where they stand side by side, somebody else has.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

const [url, secureUrl, first, second] = process.argv.slice(2);
const found = [];
/** Shows that what looks finds: this one is there. */
const control = Buffer.from(['control-Pq4', 'Wd8Sx2'].join(''));
let controls = 0;

function holds(bytes) {
  if (bytes !== control && has(bytes, [Buffer.from('control-Pq4'), Buffer.from('Wd8Sx2')])) controls++;
  return has(bytes, [Buffer.from(first), Buffer.from(second)]);
}

function has(bytes, halves) {
  for (let at = bytes.indexOf(halves[0]); at >= 0; at = bytes.indexOf(halves[0], at + 1)) {
    const end = at + halves[0].length;
    if (bytes.subarray(end, end + halves[1].length).equals(halves[1])) return true;
  }
  return false;
}

function look(where, read) {
  try {
    if (holds(read())) found.push(where);
  } catch {
    // What may not be read tells nothing.
  }
}

/** Memory that can be read, in pieces that overlap. */
function lookInMemory(pid) {
  let file;
  try {
    file = openSync(`/proc/${pid}/mem`, 'r');
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
      if (start === undefined || line.includes('[v')) continue;
      const piece = Buffer.alloc(1 << 20);
      for (let at = BigInt(`0x${start}`); at < BigInt(`0x${end}`); at += BigInt(piece.length - 256)) {
        try {
          const count = readSync(file, piece, 0, piece.length, at);
          if (holds(piece.subarray(0, count))) found.push(`memory of ${pid}`);
        } catch {
          break;
        }
      }
    }
  } catch {
    // As above.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

let statuses = '';
for (let i = 0; i < 60; i++) {
  const answers = await Promise.all([
    fetch(`${url}/plain?call=${i}`, { headers: { authorization: 'Bearer stand-in' } }),
    fetch(`${url}/redirect?call=${i}`, { redirect: 'manual' }),
    fetch(`${secureUrl}/secure?call=${i}`),
    fetch(`${url}/broken?call=${i}`),
    fetch(`${url}/token?call=${i}`),
    fetch(`${url}/signed?call=${i}`, { method: 'POST', body: 'signed' }),
  ]);
  for (const answer of answers) {
    look('an answer', () => Buffer.from(JSON.stringify([...answer.headers])));
    const body = Buffer.from(await answer.arrayBuffer());
    look('a body', () => body);
  }
  statuses = answers.map(({ status }) => status).join(' ');
}
console.log(`statuses ${statuses}`);
for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
  for (const name of ['environ', 'cmdline']) look(`${name} of ${pid}`, () => readFileSync(`/proc/${pid}/${name}`));
  if (Number(pid) !== process.pid) lookInMemory(pid);
}
lookInMemory('self');
for (const folder of ['/tmp', process.env.SSL_CERT_FILE.replace(/\/[^/]*$/, '')])
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isFile()) look(`${folder}/${entry.name}`, () => readFileSync(`${folder}/${entry.name}`));
console.log(`found ${JSON.stringify(found)}, the control ${controls > 0 && control.length > 0 ? 'too' : 'not'}`);
