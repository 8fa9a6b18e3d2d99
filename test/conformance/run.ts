/**
 * The Gateway API's conformance suite against this controller and its proxies, in the Kubernetes that the lab beside this repository builds and runs:
 * `npm run test:conformance [-- ENGINE… gateway mesh] [-- -run-test NAME]`. Reports go to docs/conformance/, the suite's own words and the controller's beside the lab's state.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageName } from '../../scripts/image.ts';
import { SallyportError } from '../../src/lib/errors.ts';
import { productVersion } from '../../src/lib/version.ts';
import { needed, SHARED } from '../support/lab.ts';
import { MESH_FEATURES } from './mesh-features.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The lab's scripts: those beside this repository, or a copy of them with a network of its own. */
const LAB = process.env.SALLYPORT_LAB ?? join(SHARED, 'kube');
const ENGINES = ['embedded', 'envoy'];
const KINDS = ['gateway', 'mesh'] as const;
type Kind = (typeof KINDS)[number];
/** Of a mesh nothing in the cluster says which features there are. */
const OPTIONS: Readonly<Record<Kind, readonly string[]>> = {
  gateway: ['-conformance-profiles=GATEWAY-HTTP,GATEWAY-TLS,GATEWAY-GRPC,GATEWAY-TCP'],
  mesh: [
    '-conformance-profiles=MESH-HTTP,MESH-GRPC',
    `-supported-features=${MESH_FEATURES.join(',')}`,
    '-namespace-labels=istio-injection=enabled',
  ],
};
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

/** What manifests of the suite name. Those of gateways are its echo server: the DNS server among them is for UDPRoutes alone, so that anything may stand in its place. */
function imagesIn(suite: string, ...folders: readonly string[]): ReadonlySet<string> {
  const texts = folders.flatMap((folder) =>
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
  const suite = moduleFolder(lab, 'sigs.k8s.io/gateway-api/conformance');
  script('image.py', echo, [...imagesIn(suite, 'base', 'tests')].join(','), join(lab.state, 'bin/echo-basic'), '--env', 'HOME=/');
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.mjs')], { stdio: 'inherit' });
  execFileSync(process.execPath, [join(ROOT, 'scripts/image.ts'), own], { stdio: 'inherit' });
  script('load.sh', echo, own);
}

/** Istio's echo server and client, of which the suite's image for meshes is made. */
function prepareMesh(lab: Lab): void {
  script('build.sh', 'istio');
  const [image, key, certificate] = ['echo-mesh.tar', 'echo.key', 'echo.crt'].map((name) => join(lab.state, name));
  const files = ['-keyout', key!, '-out', certificate!, '-subj', '/CN=echo', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files], { stdio: 'ignore' });
  const programs = ['server', 'client'].map((name) => `${join(lab.state, 'bin', `echo-${name}`)}:/usr/local/bin/${name}`);
  const names = [...imagesIn(moduleFolder(lab, 'sigs.k8s.io/gateway-api/conformance'), 'mesh')].join(',');
  const how = ['--env', 'PATH=/usr/local/bin', '--entrypoint', '/usr/local/bin/server'];
  script('image.py', image!, names, ...programs, `${certificate}:/cert.crt`, `${key}:/cert.key`, ...how);
  script('load.sh', image!);
}

function runSuite(lab: Lab, kind: Kind, engine: string, more: readonly string[]): boolean {
  const name = kind === 'gateway' ? engine : `${engine}-${kind}`;
  const folder = join(lab.state, `conformance-${name}`);
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
    ...OPTIONS[kind],
    ...Object.entries(about).map(([name, value]) => `-${name}=${value}`),
    `-report-output=${report}`,
    ...more,
  ];
  const order = {
    kubeconfig: join(lab.state, 'run/pki/admin.kubeconfig'),
    image: imageName(),
    kind,
    engine,
    helm: join(lab.state, 'bin/helm'),
    folder,
    suite,
  };
  const inside = [`--net=/run/netns/${lab.namespace}`, process.execPath, join(import.meta.dirname, 'inside.ts'), JSON.stringify(order)];
  // Of the run before: namespaces that still end take no objects, and a class would tell of features that there were then.
  script('kubectl', 'delete', 'namespaces', '-l', 'gateway-conformance', '--timeout=180s');
  script('kubectl', 'delete', 'gatewayclasses', '--all');
  const { status } = spawnSync('nsenter', inside, { stdio: ['ignore', 'inherit', 'inherit'] });
  const said = readFileSync(join(folder, 'suite.log'), 'utf8');
  const results = said.split('\n').filter((line) => /^ {4}--- (?:PASS|FAIL)/.test(line));
  for (const line of results) if (line.includes('FAIL')) console.log(`${name}: ${line.trim()}`);
  console.log(
    `${name}: ${results.filter((line) => line.includes('PASS')).length} of ${results.length} tests passed; all that was said is in ${folder}`,
  );
  if (more.length === 0 && existsSync(report)) {
    const docs = join(ROOT, 'docs/conformance');
    mkdirSync(docs, { recursive: true });
    writeFileSync(join(docs, `${name}.yaml`), readFileSync(report));
  }
  return status === 0;
}

const lab = findLab();
const missing = needed(lab !== undefined && process.getuid?.() === 0, `the conformance suite needs root, and the lab: ${LAB} has none`);
if (missing || !lab) console.log(`skipped: ${missing}`);
else {
  const args = process.argv.slice(2);
  const words = args.filter((each) => !each.startsWith('-'));
  const unknown = words.find((each) => ![...ENGINES, ...KINDS].includes(each));
  if (unknown !== undefined) throw new SallyportError('usage', `${unknown} is neither an engine (embedded, envoy) nor gateway or mesh`);
  const chosen = <T extends string>(all: readonly T[]) =>
    all.some((each) => words.includes(each)) ? all.filter((each) => words.includes(each)) : all;
  const more = args.filter((each) => each.startsWith('-'));
  prepare(lab);
  if (chosen(KINDS).includes('mesh')) prepareMesh(lab);
  const passed = chosen(KINDS).flatMap((kind) => chosen(ENGINES).map((engine) => runSuite(lab, kind, engine, more)));
  process.exitCode = passed.every(Boolean) ? 0 : 1;
}
