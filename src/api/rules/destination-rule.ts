import type { DestinationRule } from '../destination-rule.ts';
import type { Rules } from '../kind.ts';
import { exportToOf, isDnsLabel, labelsOf, selectorOf, wildcardHostProblem } from './checks.ts';
import { trafficPolicyOf } from './traffic-policy.ts';

export const destinationRuleRules: Rules<DestinationRule> = ({ spec, metadata }, report) => {
  const host = wildcardHostProblem(spec.host);
  if (host) report({ path: ['spec', 'host'], message: host });
  trafficPolicyOf(spec.trafficPolicy, ['spec', 'trafficPolicy'], report);
  const names = new Set<string>();
  spec.subsets.forEach((subset, index) => {
    const path = ['spec', 'subsets', index];
    if (!isDnsLabel(subset.name)) report({ path: [...path, 'name'], message: `"${subset.name}" is no name of a subset` });
    if (names.has(subset.name)) report({ path: [...path, 'name'], message: `"${subset.name}" names another subset already` });
    names.add(subset.name);
    labelsOf(subset.labels, [...path, 'labels'], report);
    trafficPolicyOf(subset.trafficPolicy, [...path, 'trafficPolicy'], report);
  });
  exportToOf(spec.exportTo, metadata.namespace, report);
  if (!spec.workloadSelector) return;
  selectorOf(spec.workloadSelector.matchLabels, ['spec', 'workloadSelector'], report);
  const others = spec.exportTo.filter((entry) => entry !== '.' && entry !== metadata.namespace);
  if (others.length > 0)
    report({
      path: ['spec', 'exportTo'],
      message: `a rule with a workloadSelector holds in its own namespace only, so it can't be exported to ${others.join(', ')}`,
    });
};
