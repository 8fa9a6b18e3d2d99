/** Labels and the selectors over them. A selector's keys alone are read of the labels, never the list of all labels. */

export type Labels = Readonly<Record<string, string>>;

/** A Kubernetes label selector. Not every kind's schema holds `operator` to the four that exist. */
interface LabelSelector {
  readonly matchLabels: Labels;
  readonly matchExpressions: readonly LabelRequirement[];
}

interface LabelRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/**
 * True if `labels` has every key of `selector` with the same value. An empty selector is satisfied by all labels; where an object's empty selector
 * selects nothing (a Service's, for one), the caller checks for that.
 */
export function matchesLabels(selector: Labels, labels: Labels): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

/** True if `labels` meets `matchLabels` and every one of `matchExpressions`. An unknown operator is met by nothing. */
export function matchesSelector({ matchLabels, matchExpressions }: LabelSelector, labels: Labels): boolean {
  return matchesLabels(matchLabels, labels) && matchExpressions.every((requirement) => meets(requirement, labels));
}

function meets({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}
