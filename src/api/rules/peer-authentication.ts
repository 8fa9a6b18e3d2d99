import type { Rules } from '../kind.ts';
import type { PeerAuthentication } from '../peer-authentication.ts';
import { selectorOf } from './checks.ts';

export const peerAuthenticationRules: Rules<PeerAuthentication> = ({ spec }, report) => {
  selectorOf(spec.selector?.matchLabels, ['spec', 'selector'], report);
  const ports = Object.keys(spec.portLevelMtls);
  if (ports.length > 0 && Object.keys(spec.selector?.matchLabels ?? {}).length === 0) {
    report({
      path: ['spec', 'portLevelMtls'],
      at: 'key',
      message: 'needs a selector with labels: only a policy of single workloads can tell ports apart',
    });
  }
  for (const port of ports) {
    const number = Number(port);
    if (!/^\d+$/.test(port) || number < 1 || number > 65535)
      report({ path: ['spec', 'portLevelMtls', port], at: 'key', message: `"${port}" is no port from 1 to 65535` });
  }
};
