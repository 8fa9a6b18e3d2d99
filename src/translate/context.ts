/** What every part of one translation works with. */
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from './model.ts';
import type { Scope } from './scope.ts';
import type { SecretCollector } from './secrets.ts';

export interface TranslateContext {
  readonly proxy: ProxyIdentity;
  readonly mesh: Mesh;
  readonly scope: Scope;
  /** Hands out references to secrets; what was asked for becomes the SDS resources. */
  readonly secrets: SecretCollector;
  /** Takes what could not be honoured and became a refusing route, filter chain or cluster. */
  readonly report: (finding: Finding) => void;
}
