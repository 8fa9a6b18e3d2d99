import {
  isBinaryExpression,
  isCallExpression,
  isConditionalExpression,
  isDoStatement,
  isForStatement,
  isIfStatement,
  isNumericLiteral,
  isParenthesizedExpression,
  isPrefixUnaryExpression,
  isPropertyAccessExpression,
  isReturnStatement,
  isSpreadAssignment,
  isSpreadElement,
  isWhileStatement,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';

/** One change of one place. */
export interface Mutant {
  /** From the root of the tree, with forward slashes. */
  readonly file: string;
  /** Offsets in the file's text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const OPERATORS: ReadonlyMap<SyntaxKind, string> = new Map([
  [SyntaxKind.AmpersandAmpersandToken, '||'],
  [SyntaxKind.BarBarToken, '&&'],
  [SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [SyntaxKind.LessThanToken, '<='],
  [SyntaxKind.LessThanEqualsToken, '<'],
  [SyntaxKind.GreaterThanToken, '>='],
  [SyntaxKind.GreaterThanEqualsToken, '>'],
  [SyntaxKind.PlusToken, '-'],
  [SyntaxKind.MinusToken, '+'],
  [SyntaxKind.AsteriskToken, '/'],
  [SyntaxKind.SlashToken, '*'],
]);

const METHODS: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  min: 'max',
  max: 'min',
};

/** Array methods without which the array stays one of the same kind. */
const DROPPED = new Set(['filter', 'sort', 'toSorted', 'reverse', 'toReversed', 'toLowerCase', 'trim']);

/** From here on a number is no count of things but a time or a size, of which one more is none that matters. */
const LARGE = 1000;

const LEAVING = new Set([SyntaxKind.ReturnStatement, SyntaxKind.ContinueStatement, SyntaxKind.BreakStatement, SyntaxKind.ThrowStatement]);

/** Types and what says nothing at run time. */
function isSilent({ kind }: Node): boolean {
  return (
    (kind >= SyntaxKind.FirstTypeNode && kind <= SyntaxKind.LastTypeNode) ||
    kind === SyntaxKind.InterfaceDeclaration ||
    kind === SyntaxKind.TypeAliasDeclaration ||
    kind === SyntaxKind.ImportDeclaration
  );
}

/** All changes of `source`, in the order of their places. `file` names it in them. */
export function mutantsOf(file: string, source: SourceFile): Mutant[] {
  const { text } = source;
  const mutants: Mutant[] = [];
  const signs = new Set<Node>();
  const change = (start: number, end: number, replacement: string) => mutants.push({ file, start, end, replacement });
  const startOf = (node: Node) => node.getStart(source);
  const textOf = (node: Node) => text.slice(startOf(node), node.end);
  const replace = (node: Node, replacement: string) => change(startOf(node), node.end, replacement);
  const negate = (condition: Node | undefined) => {
    if (condition !== undefined) replace(condition, `!(${textOf(condition)})`);
  };

  const visit = (node: Node): undefined => {
    if (isSilent(node)) return;
    if (isIfStatement(node) || isWhileStatement(node) || isDoStatement(node)) negate(node.expression);
    if (isForStatement(node) || isConditionalExpression(node)) negate(node.condition);
    if (isConditionalExpression(node) && saysOrder(leavesOf(node).map(textOf))) for (const sign of leavesOf(node)) signs.add(sign);
    if (signs.has(node) && textOf(node) !== '0') return;
    if (isIfStatement(node) && node.elseStatement === undefined && leaves(node.thenStatement)) replace(node, ';');
    if (isBinaryExpression(node)) {
      const { left, operatorToken, right } = node;
      const other = OPERATORS.get(operatorToken.kind);
      const joinsText = operatorToken.kind === SyntaxKind.PlusToken && [left, right].some((side) => isText(side));
      if (other !== undefined && !joinsText) replace(operatorToken, other);
      if (operatorToken.kind === SyntaxKind.QuestionQuestionToken) change(startOf(node), node.end, `(${textOf(left)})`);
    }
    if (isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken) replace(node, `(${textOf(node.operand)})`);
    if (isReturnStatement(node) && isCondition(node.expression)) negate(node.expression);
    if (isNumericLiteral(node)) replace(node, Number(node.text) < LARGE ? `(${node.text} + 1)` : `(${node.text} * 2)`);
    if (node.kind === SyntaxKind.TrueKeyword) replace(node, 'false');
    if (node.kind === SyntaxKind.FalseKeyword) replace(node, 'true');
    if (isSpreadAssignment(node) && isOptional(node.expression)) replace(node.expression, '{}');
    if (isSpreadElement(node) && isOptional(node.expression)) replace(node.expression, '[]');
    if (isCallExpression(node) && isPropertyAccessExpression(node.expression)) {
      const { name, expression } = node.expression;
      const other = Object.hasOwn(METHODS, name.text) ? METHODS[name.text] : undefined;
      if (other !== undefined) replace(name, other);
      if (DROPPED.has(name.text)) change(expression.end, node.end, '');
    }
    node.forEachChild(visit);
  };
  visit(source);
  return mutants;
}

function leaves(statement: Node): boolean {
  if (LEAVING.has(statement.kind)) return true;
  if (statement.kind !== SyntaxKind.Block) return false;
  let last: Node | undefined;
  statement.forEachChild((child) => {
    last = child;
  });
  return last !== undefined && LEAVING.has(last.kind);
}

/** What comes of a condition, and of those in its branches. */
function leavesOf(node: Node): Node[] {
  return isConditionalExpression(node) ? [...leavesOf(node.whenTrue), ...leavesOf(node.whenFalse)] : [node];
}

/** What a sort is told, of which it takes the sign alone. */
function saysOrder(leaves: readonly string[]): boolean {
  return leaves.includes('-1') && leaves.every((leaf) => ['-1', '0', '1'].includes(leaf));
}

function isText(node: Node): boolean {
  return [SyntaxKind.StringLiteral, SyntaxKind.TemplateExpression, SyntaxKind.NoSubstitutionTemplateLiteral].includes(node.kind);
}

/** What is returned and is true or false by its own form; the negation of its parts is done where they stand. */
function isCondition(node: Node | undefined): boolean {
  return (
    node !== undefined &&
    isBinaryExpression(node) &&
    [SyntaxKind.AmpersandAmpersandToken, SyntaxKind.BarBarToken].includes(node.operatorToken.kind)
  );
}

function isOptional(node: Node): boolean {
  return isParenthesizedExpression(node) ? isOptional(node.expression) : isConditionalExpression(node) || isBinaryExpression(node);
}
