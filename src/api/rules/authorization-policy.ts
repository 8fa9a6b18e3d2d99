import type { AuthorizationOperation, AuthorizationPolicy, AuthorizationRule, AuthorizationSource } from '../authorization-policy.ts';
import type { Rules } from '../kind.ts';
import { type Path, type Report, rangeProblem } from './checks.ts';
import { targetsOf } from './targets.ts';

export const authorizationPolicyRules: Rules<AuthorizationPolicy> = ({ spec, metadata }, report) => {
  targetsOf(spec, report);
  const { action, rules, provider } = spec;
  const dryRun = metadata.annotations['istio.io/dry-run'];
  if (dryRun !== undefined) {
    const path = ['metadata', 'annotations', 'istio.io/dry-run'];
    if (action !== 'ALLOW' && action !== 'DENY') report({ path, message: `action ${action} has no dry run` });
    else if (!/^(?:1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(dryRun))
      report({ path, message: `"${dryRun}" is neither true nor false` });
  }
  if ((action === 'DENY' || action === 'CUSTOM') && rules.length === 0) {
    report({
      path: ['spec'],
      message: `action ${action} without rules never applies: add the empty rule {} to have it apply to every request`,
    });
  }
  if (action === 'CUSTOM' && !provider?.name) report({ path: ['spec', 'provider'], message: 'action CUSTOM needs a provider with a name' });
  if (action !== 'CUSTOM' && provider) report({ path: ['spec', 'provider'], at: 'key', message: `must not stand beside action ${action}` });
  rules.forEach((rule, index) => {
    const path = ['spec', 'rules', index];
    ruleOf(rule, path, report);
    if (action === 'CUSTOM') customOf(rule, path, report);
    if (action === 'DENY') httpOnly(rule, path, report);
  });
};

/** Fields of a source that a TCP connection has as well. */
const CONNECTION: readonly (keyof AuthorizationSource)[] = [
  'principals',
  'notPrincipals',
  'namespaces',
  'notNamespaces',
  'ipBlocks',
  'notIpBlocks',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
  'serviceAccounts',
  'notServiceAccounts',
];

function ruleOf(rule: AuthorizationRule, path: Path, report: Report): void {
  rule.from.forEach(({ source }, index) => {
    const at = [...path, 'from', index];
    if (!source) report({ path: at, message: 'needs a source' });
    else sourceOf(source, [...at, 'source'], report);
  });
  rule.to.forEach(({ operation }, index) => {
    const at = [...path, 'to', index];
    if (!operation) report({ path: at, message: 'needs an operation' });
    else operationOf(operation, [...at, 'operation'], report);
  });
  rule.when.forEach(({ key, values, notValues }, index) => {
    const at = [...path, 'when', index];
    const message = attributeProblem(key);
    if (message) report({ path: [...at, 'key'], message });
    if (values.length === 0 && notValues.length === 0) report({ path: at, message: 'needs values or notValues' });
    const ranges = key === 'source.ip' || key === 'remote.ip' || key === 'destination.ip';
    for (const field of ['values', 'notValues'] as const) {
      const list = field === 'values' ? values : notValues;
      list.forEach((value, position) => {
        const wrong = ranges ? rangeProblem(value) : key === 'destination.port' ? portTextProblem(value) : undefined;
        if (wrong) report({ path: [...at, field, position], message: wrong });
      });
    }
  });
}

function sourceOf(source: AuthorizationSource, path: Path, report: Report): void {
  listsOf(source as unknown as Lists, path, report);
  for (const field of ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const) {
    source[field].forEach((block, index) => {
      const message = rangeProblem(block);
      if (message) report({ path: [...path, field, index], message });
    });
  }
  if (source.serviceAccounts.length + source.notServiceAccounts.length > 0) {
    for (const field of ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'] as const) {
      if (source[field].length > 0)
        report({ path: [...path, field], at: 'key', message: 'must not stand beside serviceAccounts or notServiceAccounts' });
    }
  }
}

function operationOf(operation: AuthorizationOperation, path: Path, report: Report): void {
  listsOf(operation as unknown as Lists, path, report);
  for (const field of ['ports', 'notPorts'] as const) {
    operation[field].forEach((port, index) => {
      const message = portTextProblem(port);
      if (message) report({ path: [...path, field, index], message });
    });
  }
  for (const field of ['paths', 'notPaths'] as const) {
    operation[field].forEach((template, index) => {
      const message = templateProblem(template);
      if (message) report({ path: [...path, field, index], message });
    });
  }
}

type Lists = Readonly<Record<string, readonly string[]>>;

/** At least one list must hold something, and no item may be empty. */
function listsOf(lists: Lists, path: Path, report: Report): void {
  if (Object.values(lists).every((list) => list.length === 0)) report({ path, message: 'must not be empty' });
  for (const field in lists) {
    lists[field]!.forEach((item, index) => {
      if (item === '') report({ path: [...path, field, index], message: 'must not be empty' });
    });
  }
}

function portTextProblem(port: string): string | undefined {
  const value = Number(port);
  return /^\d+$/.test(port) && value >= 1 && value <= 65535 ? undefined : `"${port}" is no port from 1 to 65535`;
}

/** Path templates: `{*}` stands for one segment, `{**}` for the rest, which must be last. */
function templateProblem(template: string): string | undefined {
  if (!template.includes('{') && !template.includes('}')) return undefined;
  const segments = template.split('/');
  const rest = segments.indexOf('{**}');
  for (const segment of segments) {
    if (segment === '{*}' || segment === '{**}') continue;
    if (/[{}*]/.test(segment)) return `"${template}": "${segment}" must be {*}, {**} or plain text`;
  }
  return rest >= 0 && rest !== segments.lastIndexOf('{**}') ? `"${template}" holds {**} twice` : undefined;
}

const ATTRIBUTES: ReadonlySet<string> = new Set([
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'source.trustDomain',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'destination.ip',
  'destination.port',
  'connection.sni',
]);
const INDEXED = /^(?:request\.headers\[.+\]|request\.auth\.claims(?:\[[^\]]+\])+|experimental\.envoy\.filters\.[\w.-]+\[.+\])$/;

function attributeProblem(key: string): string | undefined {
  if (key === '') return 'must not be empty';
  if (ATTRIBUTES.has(key) || INDEXED.test(key)) return undefined;
  return `"${key}" is no attribute: use request.headers[NAME], request.auth.claims[NAME] or one of ${[...ATTRIBUTES].join(', ')}`;
}

/** What the external authorizer's filter can't look at before it runs. */
function customOf(rule: AuthorizationRule, path: Path, report: Report): void {
  const refused = ['namespaces', 'notNamespaces', 'principals', 'notPrincipals', 'requestPrincipals', 'notRequestPrincipals'] as const;
  rule.from.forEach(({ source }, index) => {
    for (const field of refused) {
      if (source && source[field].length > 0)
        report({ path: [...path, 'from', index, 'source', field], at: 'key', message: 'is not supported with action CUSTOM' });
    }
  });
  rule.when.forEach(({ key }, index) => {
    if (key === 'source.namespace' || key === 'source.principal' || key.startsWith('request.auth.')) {
      report({ path: [...path, 'when', index, 'key'], message: `${key} is not supported with action CUSTOM` });
    }
  });
}

/** On TCP ports what only HTTP has is left out of a DENY rule, which then denies more. */
function httpOnly(rule: AuthorizationRule, path: Path, report: Report): void {
  const from = rule.from.some(({ source }) => source && CONNECTION.some((field) => source[field].length > 0));
  const to = rule.to.some(({ operation }) => operation && operation.ports.length + operation.notPorts.length > 0);
  if ((rule.from.length > 0 && rule.to.length === 0 && !from) || (rule.to.length > 0 && !to)) {
    report({
      path,
      level: 'Warning',
      message: 'denies everything on TCP ports, where its HTTP fields are left out: name the ports it is for',
    });
  }
}
