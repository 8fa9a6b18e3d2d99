/** `run` that signs requests to AWS: a server checks each signature by another implementation, over the request as it came. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificate, startServer } from '../outside.ts';
import { judged } from '../signed.ts';
import { needs } from '../tools.ts';
import { injectedWorld, skip as noSandbox } from './credentials-world.ts';

const SECRET = 'canary/wJalrXUtnFEMI+K7';
const TOKEN = 'canary-session/Token=';
const skip = noSandbox || needs('openssl', 'curl');

async function aws(t: TestContext) {
  const certificate = makeCertificate('api.example');
  const said: [path: string, outcome: string, token: string | undefined][] = [];
  const listener = async (request: IncomingMessage, response: { end(text: string): void }) => {
    const outcome = await judged(request, SECRET);
    said.push([request.url!, outcome, request.headers['x-amz-security-token'] as string | undefined]);
    response.end('ok\n');
  };
  const world = await injectedWorld(t, { secret: SECRET });
  const secure = await startServer(t, { certificate, listener });
  const plain = await startServer(t, { listener });
  const ca = join(world.folder, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  return { world, said, ca, secure, plain };
}

test('bodies to S3 pass unsigned within TLS, others are held and signed; what a client signed with the placeholder is signed anew', {
  skip,
}, async (t) => {
  const { world, said, ca, secure, plain } = await aws(t);
  const keys = { AccessKeyId: 'AKIDEXAMPLE', SecretAccessKey: SECRET, SessionToken: TOKEN };
  const print = `printf '%s' "$KEYS"`;
  const [s3, sqs] = [`https://api.example:${secure.port}`, `http://api.example:${plain.port}`];
  const curl = 'curl -sS -o /dev/null -w "%{http_code}\\n"';
  const { stdout, stderr } = await world.run(
    `head -c 20000000 /dev/zero | ${curl} -T - '${s3}/bucket/a%20b%2Bc?x=1&b'
     ${curl} --aws-sigv4 aws:amz:eu-west-1:s3 --user STANDIN:nothing ${s3}/bucket/
     ${curl} --aws-sigv4 aws:amz:eu-west-1:s3 --user OWN:mine ${s3}/own/
     ${curl} -H 'x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD' -T /etc/passwd ${s3}/bucket/chunks
     ${curl} -d Action=ListQueues ${sqs}/
     ${curl} -H expect: -H transfer-encoding:chunked -d Action=ListQueues ${sqs}/a/b
     head -c 9000000 /dev/zero | ${curl} -T - ${sqs}/large
     env`,
    {
      entries: [
        {
          ports: [secure.port],
          tls: { intercept: true, ca },
          credentials: [{ sigv4: { region: 'eu-west-1', service: 's3' }, from: { command: ['sh', '-c', print] }, placeholder: 'STANDIN' }],
        },
        {
          ports: [plain.port],
          protocol: 'HTTP',
          credentials: [{ sigv4: { region: 'eu-west-1', service: 'sqs', accessKeyId: 'AKIDOTHER' }, from: { file: world.file } }],
        },
      ],
      environment: { KEYS: JSON.stringify(keys, null, 2) },
    },
  );
  assert.deepEqual(
    said,
    [
      ['/bucket/a%20b%2Bc?x=1&b', 'signed by AKIDEXAMPLE for s3, without its body of 20000000', TOKEN],
      ['/bucket/', 'signed by AKIDEXAMPLE for s3, with its body of 0', TOKEN],
      ['/own/', said[2]?.[1], undefined],
      ['/', 'signed by AKIDOTHER for sqs, with its body of 17', undefined],
      ['/a/b', 'signed by AKIDOTHER for sqs, with its body of 17', undefined],
    ],
    stderr,
  );
  assert.match(said[2]![1], /by OWN for s3/);
  assert.equal(stdout.match(/^\d{3}$/gm)?.join(' '), '200 200 200 403 200 200 413', stderr);
  for (const secret of [SECRET, TOKEN]) assert.ok(!stderr.includes(secret), stderr);
});

test('keys that cannot be read close, and nothing of them is said', { skip }, async (t) => {
  const { world, said, plain } = await aws(t);
  const entry = (from: object, path: string) => ({
    ports: [plain.port],
    protocol: 'HTTP',
    paths: [path],
    credentials: [{ sigv4: { region: 'eu-west-1', service: 'sqs' }, from }],
  });
  const printed = (text: object) => ({ command: ['printf', '%s', JSON.stringify(text)] });
  const { stdout, stderr } = await world.run(
    `for i in 1 2 3; do curl -sS -o /dev/null -w "%{http_code}\\n" http://api.example:${plain.port}/$i; done`,
    {
      entries: [
        entry({ file: world.file }, '/1'),
        entry(printed({ AccessKeyId: 'AKID', SecretAccessKey: SECRET, Expiration: '2020-01-01T00:00:00Z' }), '/2'),
        entry(printed({ AccessKeyId: 'AKID', SecretAccessKey: `${SECRET} ` }), '/3'),
      ],
    },
  );
  assert.deepEqual([said, stdout], [[], '503\n503\n503\n'], stderr);
  assert.match(stderr, /#1 cannot be had.* the file .* holds no keys: write JSON with AccessKeyId and SecretAccessKey/);
  assert.match(stderr, /#2 cannot be had.* the output of printf has expired/);
  assert.match(stderr, /#3 cannot be had.* the output of printf holds no keys/);
  assert.ok(!stderr.includes(SECRET));
});
