/** Labels and selectors. Matching reads the labels that the selector names and never lists the others, so that callers can record which labels count. */

export type Labels = Readonly<Record<string, string>>;

/** As the command line of Kubernetes writes them; empty where there are none. */
export function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** A Kubernetes label selector. Not every kind's schema limits `operator` to the four that exist. */
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
 * True if `labels` has every key of `selector` with the same value. An empty selector matches all labels; callers for whom an empty
 * selector selects nothing (a Service's, for example) check for that themselves.
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
