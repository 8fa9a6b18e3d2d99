/** A secret that the proxy puts into calls is in none of the places that a command, a log or a report could have it from. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { injectedWorld, skip as noSandbox } from '../integration/cli/credentials-world.ts';
import { Program } from '../integration/cli/program.ts';
import { makeCertificate, startServer } from '../integration/outside.ts';
import { needs } from '../integration/tools.ts';

const HALVES = ['canary-Xw3Kq8', 'Zt5Lm1Rb7Yd'] as const;
const SECRET = HALVES.join('');
const FORMS = [SECRET, btoa(`me:${SECRET}`), encodeURIComponent(SECRET), Buffer.from(SECRET).toString('hex')];

function meshConfig(folder: string, log: string): string {
  const fields = ['REQ(AUTHORIZATION)', 'REQ(X-KEY)', 'REQ(:PATH)', 'RESP(LOCATION)', 'RESPONSE_CODE_DETAILS'];
  const file = join(folder, 'mesh.yaml');
  const accessLogFormat = `${fields.map((field) => `%${field}%`).join(' ')}\n`;
  writeFileSync(file, JSON.stringify({ accessLogFile: log, accessLogFormat, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  return file;
}

/** The canary is the client's secret, and the token. */
function oauth2(port: number) {
  return { tokenEndpoint: `http://localhost:${port}/token`, clientId: 'me', clientSecret: { environment: 'CANARY' } };
}

/** `sallyport flows` beside the run, from its first call on. */
async function flowsOf(t: TestContext, pid: number): Promise<Program> {
  const flows = new Program(
    ['flows', '--run', String(pid), '-o', 'json'],
    [process.execPath, join(import.meta.dirname, '../integration/sallyport.ts')],
  );
  t.after(() => flows.end());
  await flows.says(/watching/);
  return flows;
}

test('the canary is in none of the outputs, and nowhere that the command can look', { skip: noSandbox || needs('openssl') }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const certificate = makeCertificate('api.example');
  const seen: (string | undefined)[] = [];
  const secure = await startServer(t, {
    certificate,
    listener: ({ headers }, response) => {
      seen.push(headers['x-key'] as string | undefined);
      response.end('secure\n');
    },
  });
  const auth = await startServer(t, {
    listener: (_, response) => void response.end(JSON.stringify({ access_token: SECRET, token_type: 'Bearer', expires_in: 60 })),
  });
  const ca = join(world.folder, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  world.answer = ({ url = '' }, response) => {
    if (!url.startsWith('/redirect')) return 'plain\n';
    response.statusCode = 302;
    response.setHeader('location', `http://elsewhere.example${url}`);
    return '';
  };
  const log = join(world.folder, 'access.log');
  const report = join(world.folder, 'report.json');
  const inside = join(import.meta.dirname, 'canary-inside.mjs');
  let flows: Program | undefined;
  const { stdout, stderr } = await world.run(
    `echo ready; read -r go; exec node ${inside} http://api.example:PORT https://api.example:${secure.port} ${HALVES.join(' ')}`,
    {
      entries: [
        { paths: ['/plain'], credentials: [{ bearer: true, from: { environment: 'CANARY' }, placeholder: 'stand-in' }] },
        { paths: ['/redirect'], credentials: [{ query: 'key', from: { command: ['sh', '-c', 'echo "$CANARY"; echo "$CANARY" >&2'] } }] },
        { paths: ['/broken'], credentials: [{ basic: { user: 'me' }, from: { command: ['sh', '-c', 'echo "$CANARY" >&2; exit 3'] } }] },
        { paths: ['/token'], credentials: [{ bearer: true, from: { oauth2: oauth2(auth.port) } }] },
        {
          paths: ['/signed'],
          credentials: [{ sigv4: { region: 'r', service: 's', accessKeyId: 'AKID' }, from: { environment: 'CANARY' } }],
        },
        { ports: [secure.port], tls: { intercept: true, ca }, credentials: [{ header: 'x-key', from: { file: world.file } }] },
      ],
      environment: { CANARY: SECRET, SALLYPORT_UNRELATED: 'stays' },
      options: ['--report', report, '--mesh-config', meshConfig(world.folder, log)],
      during: async (child, saw) => {
        await saw('ready');
        flows = await flowsOf(t, child.pid!);
        child.stdin!.end('go\n');
        await once(child, 'exit');
      },
    },
  );
  assert.match(stdout, /statuses 200 302 200 503 200 200\nfound \[\], the control too\n/, stderr);
  const came = world.requests.map(({ url = '', headers: { authorization = '' } }) => {
    if (url.startsWith('/redirect')) return url.endsWith(`key=${SECRET}`);
    return url.startsWith('/signed') ? authorization.startsWith('AWS4-HMAC-SHA256 Credential=AKID/') : authorization === `Bearer ${SECRET}`;
  });
  assert.equal(came.length, 240);
  assert.ok(came.every(Boolean) && seen.length === 60 && seen.every((value) => value === SECRET), 'the servers have it');
  assert.match(readFileSync(log, 'utf8'), /Bearer stand-in .*\/plain/);
  assert.match(flows!.output, /"path":"\/redirect/);
  assert.match(stderr, /credential api\.example#3 cannot be had, so calls that need it are refused: sh ended with exit code 3/);
  const outputs = { stdout, stderr, log: readFileSync(log, 'utf8'), report: readFileSync(report, 'utf8'), flows: flows!.output };
  for (const [name, text] of Object.entries(outputs)) for (const form of FORMS) assert.ok(!text.includes(form), `${name} holds it`);
  rmSync(report);
});
