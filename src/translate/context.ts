/** What every part of one translation works with. */
import type { Finding } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { loggedConfig } from './logging.ts';
import { sameConfig } from './mesh-config.ts';
import type { Mesh } from './model.ts';
import type { Notes } from './notes.ts';
import { type Scope, scopeFor } from './scope.ts';
import { type SecretRequest, secretReferences } from './secrets.ts';
import { tracingOf } from './tracing.ts';

export interface TranslateContext extends Notes {
  readonly proxy: ProxyIdentity;
  readonly mesh: Mesh;
  readonly scope: Scope;
}

/** What tells whether an object concerns a proxy. */
export type ProxyInMesh = Pick<TranslateContext, 'proxy' | 'mesh'>;

/** A context and what was said to it. */
export interface Translating {
  readonly context: TranslateContext;
  readonly findings: ReadonlyMap<string, Finding>;
  /** By name; of several who ask for one the first. */
  readonly requests: ReadonlyMap<string, SecretRequest>;
}

export function startTranslation(proxy: ProxyIdentity, given: Mesh): Translating {
  const { found: findings, report } = distinctFindings();
  const unlogged = () => scopeFor(proxy, { ...given, config: sameConfig(given.config) });
  const config = loggedConfig(proxy, given, unlogged, report);
  const scope = scopeFor(proxy, { ...given, config: sameConfig(config) });
  const tracing = tracingOf(proxy, { mesh: given, scope, report });
  const mesh: Mesh = { ...given, config: sameConfig(tracing ? { ...config, tracing } : config) };
  const requests = new Map<string, SecretRequest>();
  const secrets = secretReferences((request) => {
    if (!requests.has(request.name)) requests.set(request.name, request);
  });
  return { context: { proxy, mesh, scope, report, secrets }, findings, requests };
}

/** Several clusters, routes or chains may come of one object: what is wrong with it is reported once. */
export function distinctFindings(): { readonly found: ReadonlyMap<string, Finding>; readonly report: (finding: Finding) => void } {
  const found = new Map<string, Finding>();
  const report = (finding: Finding) => {
    const key = JSON.stringify([finding.code, originText(finding.origin), finding.message]);
    if (!found.has(key)) found.set(key, finding);
  };
  return { found, report };
}
