/** The chart, as helm renders it. Written anew by UPDATE_GOLDEN=1. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAll } from 'js-yaml';
import { productVersion } from '../../src/lib/version.ts';
import { findTool, needs } from '../integration/tools.ts';
import { labBinary, needed } from '../support/lab.ts';

const CHART = join(import.meta.dirname, '../../deploy/chart');
const GOLDEN = join(import.meta.dirname, 'chart.golden.yaml');
const HELM = labBinary('helm') ?? 'helm';
const skip = needed(existsSync(HELM), 'there is no helm: build it with ../shared/kube/build.sh all');
/** Helm's own is whatever it was built for. */
const VERSION = ['--kube-version', '1.31.0'];

function helm(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(HELM, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const template = (...args: readonly string[]) => helm('template', 'sallyport', CHART, '--namespace', 'istio-system', ...VERSION, ...args);

test('the chart has the version of the package, and nothing for helm to complain about', { skip }, () => {
  const { version, appVersion } = loadAll(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'))[0] as { version: string; appVersion: string };
  assert.deepEqual([version, appVersion], [productVersion(), productVersion()]);
  const { status, stdout } = helm('lint', CHART, '--strict', ...VERSION);
  assert.equal(status, 0, stdout);
});

test('what it installs by default', { skip }, () => {
  const { stdout } = template();
  if (process.env.UPDATE_GOLDEN) writeFileSync(GOLDEN, stdout);
  assert.equal(stdout, readFileSync(GOLDEN, 'utf8'));
});

test('values that there are not, or that cannot be, are refused', { skip }, () => {
  for (const value of [
    'injection.failurPolicy=Fail',
    'injection.engine=nginx',
    'replicas=0',
    'podDisruptionBudget.maxUnavailable=0',
    'revision=A_b',
    'validation.guardEgress=on',
    'validation.failurePolicy=Never',
    'cni.binDir=opt',
    'console.hosts={A b}',
  ])
    assert.match(template('--set', value).stderr, /values don't meet the specifications of the schema/, value);
});

test('what it may do is named: no Secrets but the CA and those of the namespaces that are listed, and all containers are restricted', {
  skip,
}, () => {
  const objects = loadAll(template('--set', 'gateways.secretNamespaces={edge}', '--set', 'revision=canary').stdout) as Manifest[];
  const secrets = objects.flatMap(({ kind, metadata, rules = [] }) =>
    rules
      .filter(({ resources = [] }) => resources.includes('secrets') || (resources.includes('*') && kind === 'ClusterRole'))
      .flatMap((rule) =>
        rule.resources?.includes('secrets') ? [`${kind} ${metadata.namespace} ${rule.verbs} ${rule.resourceNames ?? ''}`] : [],
      ),
  );
  assert.deepEqual(secrets, ['Role istio-system get,list,watch sallyport-ca', 'Role istio-system create ', 'Role edge get,list,watch ']);
  for (const { rules = [] } of objects)
    for (const { apiGroups = [], resources = [], verbs } of rules) {
      assert.ok(!verbs.includes('*'), 'no rule has all verbs');
      // All kinds of the groups that are read; of Kubernetes' own groups none.
      if (resources.includes('*'))
        assert.ok(apiGroups.every((group) => /\.istio\.io$|^gateway\.networking\.|^sallyport\.dev$/.test(group)));
    }
  for (const { spec } of objects.filter(({ kind }) => kind === 'Deployment')) {
    const { securityContext, containers } = spec!.template.spec;
    assert.deepEqual([securityContext.runAsNonRoot, securityContext.seccompProfile.type], [true, 'RuntimeDefault']);
    for (const container of containers) {
      const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext;
      assert.deepEqual([allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities], [false, true, { drop: ['ALL'] }]);
    }
  }
});

test('the nodes’ CNI plugin is kept by somebody who may do nothing but write its two folders, and see whether it is deleted', {
  skip,
}, () => {
  const kinds = (...set: readonly string[]) =>
    (loadAll(template(...set).stdout) as Manifest[]).filter(({ metadata }) => metadata.name === 'sallyport-cni');
  assert.deepEqual(kinds(), []);
  const enabled = ['--set', 'cni.enabled=true'];
  assert.deepEqual(kinds(...enabled, '--set', 'cni.install=false'), []);
  const own = kinds(...enabled);
  assert.deepEqual(
    own.map(({ kind }) => kind),
    ['ServiceAccount', 'Role', 'RoleBinding', 'DaemonSet'],
  );
  assert.deepEqual(own[1]!.rules, [{ apiGroups: ['apps'], resources: ['daemonsets'], resourceNames: ['sallyport-cni'], verbs: ['get'] }]);
  const { metadata, spec } = own[3]!.spec!.template as unknown as { metadata: { labels: Record<string, string> }; spec: DaemonPod };
  const [container] = spec.containers;
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities, privileged } = container!.securityContext;
  assert.deepEqual(
    [allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities, privileged],
    [false, true, { drop: ['ALL'] }, undefined],
  );
  assert.deepEqual([spec.hostNetwork, spec.hostPID, metadata.labels['sidecar.istio.io/inject']], [undefined, undefined, 'false']);
  assert.deepEqual(
    spec.volumes.flatMap(({ hostPath }) => hostPath?.path ?? []),
    ['/opt/cni/bin', '/etc/cni/net.d'],
  );
  const all = loadAll(template(...enabled).stdout) as Manifest[];
  const controller = all.find(({ kind }) => kind === 'Deployment')!.spec!.template.spec.containers[0].args as string[];
  assert.ok(controller.includes('--cni'));
});

test('the guard closes, the check does not lock out; neither is asked about anything but the mesh', { skip }, () => {
  const set = ['validation.guardEgress=labelled', 'validation.allowWideningBy={owners,user:dave}', 'revision=canary'];
  const objects = loadAll(template(...set.flatMap((each) => ['--set', each])).stdout) as Manifest[];
  const { webhooks } = objects.find(({ kind }) => kind === 'ValidatingWebhookConfiguration') as unknown as { webhooks: Webhook[] };
  assert.deepEqual(
    webhooks.map(({ name, failurePolicy, sideEffects, clientConfig, namespaceSelector }) => [
      `${name} ${failurePolicy} ${sideEffects} ${clientConfig.service.path}`,
      namespaceSelector.matchExpressions.flatMap(({ values }) => values).join(),
    ]),
    [
      ['validate.sallyport.dev Ignore None /validate', 'kube-system,kube-public,kube-node-lease,istio-system'],
      ['guard.sallyport.dev Fail None /guard', 'kube-system,kube-public,kube-node-lease'],
    ],
  );
  const groups = webhooks.flatMap(({ rules }) => rules.flatMap(({ apiGroups }) => apiGroups));
  assert.ok(groups.every((group) => /\.istio\.io$|^gateway\.networking\.|^sallyport\.dev$/.test(group)));
  const controller = objects.find(({ kind }) => kind === 'Deployment')!.spec!.template.spec.containers[0].args as string[];
  assert.deepEqual(
    controller.filter((arg) => /guard|widening/.test(arg)),
    ['--guard-egress=labelled', '--allow-widening-by=owners', '--allow-widening-by=user:dave'],
  );
});

test('the console is off, then at loopback, and served to others over TLS alone', { skip }, () => {
  const of = (...set: readonly string[]) => {
    const objects = loadAll(template(...set.flatMap((each) => ['--set', each])).stdout) as Manifest[];
    const controller = objects.find(({ kind }) => kind === 'Deployment')!.spec!.template.spec.containers[0];
    const args = (controller.args as string[]).filter((arg) => /console/.test(arg));
    const kinds = objects.filter(({ metadata }) => /console/.test((metadata as { name?: string }).name ?? '')).map(({ kind }) => kind);
    const reviews = objects.some(({ rules = [] }) => rules.some(({ resources = [] }) => resources.includes('subjectaccessreviews')));
    return [args, kinds, reviews];
  };
  assert.deepEqual(of(), [[], [], false]);
  assert.deepEqual(of('console.enabled=true'), [['--console=127.0.0.1:15016'], ['ClusterRole', 'ClusterRoleBinding'], true]);
  assert.deepEqual(of('console.enabled=true', 'console.service=true', 'console.hosts={mesh.example}'), [
    ['--console=0.0.0.0:15016', '--console-host=mesh.example'],
    ['ClusterRole', 'ClusterRoleBinding', 'Service'],
    true,
  ]);
});

test('with monitoring the controllers are scraped, and the alerts are those of the rule file', { skip }, () => {
  const set = ['--set', 'monitoring.enabled=true', '--set', 'monitoring.labels.release=prometheus'];
  const objects = loadAll(template(...set).stdout) as { kind: string; metadata: { labels: Record<string, string> }; spec: object }[];
  const [monitor, rule] = ['PodMonitor', 'PrometheusRule'].map((kind) => objects.find((each) => each.kind === kind)!);
  assert.deepEqual([monitor!.metadata.labels.release, rule!.metadata.labels.release], ['prometheus', 'prometheus']);
  assert.deepEqual(rule!.spec, loadAll(readFileSync(join(CHART, 'rules/alerts.yaml'), 'utf8'))[0]);
});

test('dashboards are ConfigMaps where they are asked for, as the files are', { skip }, () => {
  const of = (...set: readonly string[]) =>
    (loadAll(template(...set).stdout) as Dashboards[]).filter(({ data }) => data && !('mesh' in data));
  assert.deepEqual(of(), []);
  const maps = of('--set', 'monitoring.dashboards.enabled=true');
  assert.deepEqual(
    maps.map(({ metadata }) => [metadata.name, metadata.labels.grafana_dashboard]),
    ['control-plane', 'egress', 'gateways'].map((name) => [`sallyport-controller-${name}`, '1']),
  );
  for (const { data } of maps)
    for (const [name, text] of Object.entries(data))
      assert.equal(`${text}\n`, readFileSync(join(CHART, 'dashboards', name.replace('sallyport-', '')), 'utf8'));
});

test('each alert fires when it is to, and not before', { skip: needs('promtool') }, () => {
  const { status, stdout, stderr } = spawnSync(findTool('promtool')!, ['test', 'rules', join(import.meta.dirname, 'alerts.yaml')], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
});

interface Dashboards {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data: Readonly<Record<string, string>>;
}

interface Webhook {
  readonly name: string;
  readonly failurePolicy: string;
  readonly sideEffects: string;
  readonly clientConfig: { readonly service: { readonly path: string } };
  readonly namespaceSelector: { readonly matchExpressions: readonly { readonly values: readonly string[] }[] };
  readonly rules: readonly { readonly apiGroups: readonly string[] }[];
}

interface DaemonPod {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly containers: readonly { readonly securityContext: Readonly<Record<string, unknown>> }[];
  readonly volumes: readonly { readonly hostPath?: { readonly path: string } }[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly namespace?: string };
  readonly rules?: readonly {
    readonly apiGroups?: readonly string[];
    readonly resources?: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
  // biome-ignore lint/suspicious/noExplicitAny: a Deployment's
  readonly spec?: { readonly template: any };
}
