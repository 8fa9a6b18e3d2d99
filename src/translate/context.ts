/** What every part of one translation works with. */
import type { Finding } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { sameConfig } from './mesh-config.ts';
import type { Mesh } from './model.ts';
import type { Notes } from './notes.ts';
import { type Scope, scopeFor } from './scope.ts';
import { type SecretRequest, secretReferences } from './secrets.ts';

export interface TranslateContext extends Notes {
  readonly proxy: ProxyIdentity;
  readonly mesh: Mesh;
  readonly scope: Scope;
}

/** A context and what was said to it. */
export interface Translating {
  readonly context: TranslateContext;
  /** Each once: several clusters, routes or chains may come of one object. */
  readonly findings: ReadonlyMap<string, Finding>;
  /** By name; of several who ask for one the first. */
  readonly requests: ReadonlyMap<string, SecretRequest>;
}

export function startTranslation(proxy: ProxyIdentity, given: Mesh): Translating {
  const mesh: Mesh = { ...given, config: sameConfig(given.config) };
  const findings = new Map<string, Finding>();
  const report = (finding: Finding) => {
    const key = JSON.stringify([finding.code, originText(finding.origin), finding.message]);
    if (!findings.has(key)) findings.set(key, finding);
  };
  const requests = new Map<string, SecretRequest>();
  const secrets = secretReferences((request) => {
    if (!requests.has(request.name)) requests.set(request.name, request);
  });
  return { context: { proxy, mesh, scope: scopeFor(proxy, mesh), report, secrets }, findings, requests };
}
