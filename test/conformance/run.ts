/**
 * The Gateway API's conformance suite against this controller and its proxies, in the Kubernetes that the lab beside this repository builds and runs:
 * `npm run test:conformance [-- ENGINE…] [-- -run-test NAME]`. Reports go to docs/conformance/, the suite's own words and the controller's beside the lab's state.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageName } from '../../scripts/image.ts';
import { SallyportError } from '../../src/lib/errors.ts';
import { productVersion } from '../../src/lib/version.ts';
import { needed, SHARED } from '../support/lab.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The lab's scripts: those beside this repository, or a copy of them with a network of its own. */
const LAB = process.env.SALLYPORT_LAB ?? join(SHARED, 'kube');
const PROFILES = ['GATEWAY-HTTP', 'GATEWAY-TLS', 'GATEWAY-GRPC', 'GATEWAY-TCP'];
interface Lab {
  readonly state: string;
  readonly namespace: string;
}

function findLab(): Lab | undefined {
  if (!existsSync(join(LAB, 'env.sh'))) return undefined;
  const command = '. "$1/env.sh" && printf "%s\\n%s" "$STATE" "$NS"';
  const [state, namespace] = execFileSync('bash', ['-c', command, 'bash', LAB], { encoding: 'utf8' }).split('\n');
  return { state: state!, namespace: namespace! };
}

function script(name: string, ...args: readonly string[]): void {
  execFileSync(join(LAB, name), args, { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Where a Go module is that the suite was built of. */
function moduleFolder({ state }: Lab, name: string): string {
  const cwd = join(state, 'src/conformance');
  const env = { ...process.env, GOFLAGS: '-mod=mod' };
  return execFileSync('go', ['list', '-m', '-f', '{{.Dir}}', name], { cwd, encoding: 'utf8', env }).trim();
}

/** What the suite's manifests name. All are its echo server: the DNS server among them is for UDPRoutes alone, so that anything may stand in its place. */
function echoImages(suite: string): ReadonlySet<string> {
  const texts = ['base', 'tests'].flatMap((folder) =>
    readdirSync(join(suite, folder))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => readFileSync(join(suite, folder, file), 'utf8')),
  );
  return new Set(texts.flatMap((text) => [...text.matchAll(/\bimage: *"?([^\s"]+)/g)].map(([, name]) => name!)));
}

function prepare(lab: Lab): void {
  script('build.sh', 'conformance');
  script('up.sh');
  script('kubectl', 'apply', '--server-side', '-f', join(moduleFolder(lab, 'sigs.k8s.io/gateway-api'), 'config/crd/standard'));
  script('kubectl', 'apply', '--server-side', '-f', join(SHARED, 'data/istio-crds.yaml'));
  const [echo, own] = [join(lab.state, 'echo.tar'), join(lab.state, 'sallyport.tar')];
  const images = [...echoImages(moduleFolder(lab, 'sigs.k8s.io/gateway-api/conformance'))];
  script('image.py', echo, images.join(','), join(lab.state, 'bin/echo-basic'), '--env', 'HOME=/');
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.mjs')], { stdio: 'inherit' });
  execFileSync(process.execPath, [join(ROOT, 'scripts/image.ts'), own], { stdio: 'inherit' });
  script('load.sh', echo, own);
}

function runSuite(lab: Lab, engine: string, more: readonly string[]): boolean {
  const folder = join(lab.state, `conformance-${engine}`);
  mkdirSync(folder, { recursive: true });
  const report = join(folder, 'report.yaml');
  const about = {
    organization: 'sallyport',
    project: 'sallyport',
    url: 'https://sallyport.dev',
    version: productVersion(),
    contact: 'https://sallyport.dev',
  };
  const suite = [
    join(lab.state, 'bin/conformance.test'),
    '-test.v',
    '-test.timeout=30m',
    '-gateway-class=sallyport',
    `-conformance-profiles=${PROFILES.join(',')}`,
    ...Object.entries(about).map(([name, value]) => `-${name}=${value}`),
    `-report-output=${report}`,
    ...more,
  ];
  const order = { kubeconfig: join(lab.state, 'run/pki/admin.kubeconfig'), image: imageName(), engine, folder, suite };
  const inside = [`--net=/run/netns/${lab.namespace}`, process.execPath, join(import.meta.dirname, 'inside.ts'), JSON.stringify(order)];
  const { status } = spawnSync('nsenter', inside, { stdio: ['ignore', 'inherit', 'inherit'] });
  const said = readFileSync(join(folder, 'suite.log'), 'utf8');
  const results = said.split('\n').filter((line) => /^ {4}--- (?:PASS|FAIL)/.test(line));
  for (const line of results) if (line.includes('FAIL')) console.log(`${engine}: ${line.trim()}`);
  console.log(
    `${engine}: ${results.filter((line) => line.includes('PASS')).length} of ${results.length} tests passed; all that was said is in ${folder}`,
  );
  if (more.length === 0 && existsSync(report)) {
    const docs = join(ROOT, 'docs/conformance');
    mkdirSync(docs, { recursive: true });
    writeFileSync(join(docs, `${engine}.yaml`), readFileSync(report));
  }
  return status === 0;
}

const lab = findLab();
const missing = needed(lab !== undefined && process.getuid?.() === 0, `the conformance suite needs root, and the lab: ${LAB} has none`);
if (missing || !lab) console.log(`skipped: ${missing}`);
else {
  const args = process.argv.slice(2);
  const engines = args.filter((each) => !each.startsWith('-'));
  const unknown = engines.find((each) => each !== 'embedded' && each !== 'envoy');
  if (unknown !== undefined) throw new SallyportError('usage', `${unknown} is no engine: there are embedded and envoy`);
  prepare(lab);
  const chosen = engines.length > 0 ? engines : ['embedded', 'envoy'];
  const passed = chosen.map((engine) =>
    runSuite(
      lab,
      engine,
      args.filter((each) => each.startsWith('-')),
    ),
  );
  process.exitCode = passed.every(Boolean) ? 0 : 1;
}
