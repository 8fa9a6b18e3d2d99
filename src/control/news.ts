/** What is new among findings and refusals, of one report after the other. */
import type { Refusal } from '../engine/contract.ts';
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { originsBehind } from './refused-origins.ts';
import type { ControlEvent, ProxyState } from './report.ts';

export class News {
  #findings: ReadonlyMap<string, Finding> = new Map();
  #refused: ReadonlySet<string> = new Set();

  /** Undefined where nothing is new. Two findings that read the same are one. */
  ofFindings(findings: readonly Finding[]): Extract<ControlEvent, { kind: 'findings' }> | undefined {
    const before = this.#findings;
    const now = new Map(findings.map((finding) => [JSON.stringify(findingJson(finding)), finding]));
    this.#findings = now;
    const beyond = (list: ReadonlyMap<string, Finding>, known: ReadonlyMap<string, Finding>) =>
      [...list].filter(([key]) => !known.has(key)).map(([, finding]) => finding);
    const fresh = beyond(now, before);
    const mended = beyond(before, now);
    return fresh.length + mended.length > 0 ? { kind: 'findings', fresh, mended } : undefined;
  }

  ofRefusals(proxies: readonly ProxyState[]): Extract<ControlEvent, { kind: 'refused' }>[] {
    const all = proxies.flatMap(({ identity, refusals, resources }) =>
      refusals.map((refusal) => {
        const origins = originsBehind(resources, refusal.key);
        return { kind: 'refused', proxy: identity, refusal, origins } as const;
      }),
    );
    const fresh = all.filter(({ proxy, refusal }) => !this.#refused.has(keyOf(proxy, refusal)));
    this.#refused = new Set(all.map(({ proxy, refusal }) => keyOf(proxy, refusal)));
    return fresh;
  }
}

function keyOf({ type, namespace, name }: ProxyIdentity, { resource, message }: Refusal): string {
  return [type, namespace, name, resource, message].join('\n');
}
