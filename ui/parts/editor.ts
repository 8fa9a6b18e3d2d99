/** CodeMirror, for text that is shown with its lines or edited. In a shadow root its styles are adopted sheets, which a policy without inline styles allows. */

import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorState, type Extension, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

export interface EditorOptions {
  readonly text: string;
  /** Marked and scrolled to; 0 for none. */
  readonly line: number;
  readonly label: string;
  readonly change?: ((text: string) => void) | undefined;
}

const MARKED = Decoration.line({ class: 'cm-marked' });

/** Shows the text in the element; what is returned takes it away. */
export function openEditor(element: HTMLElement, { text, line, label, change }: EditorOptions): () => void {
  const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' });
  const state = EditorState.create({
    doc: text,
    extensions: [lineNumbers(), yaml(), syntaxHighlighting(COLOURS), drawSelection(), THEME, marked(line), editing(label, change)],
  });
  const view = new EditorView({ state, parent: root, root });
  if (line > 0 && line <= view.state.doc.lines)
    view.dispatch({ effects: EditorView.scrollIntoView(view.state.doc.line(line).from, { y: 'center' }) });
  return () => view.destroy();
}

function editing(label: string, change: EditorOptions['change']): Extension {
  const named = EditorView.contentAttributes.of({ 'aria-label': label, ...(change === undefined && { tabindex: '0' }) });
  if (change === undefined) return [named, EditorState.readOnly.of(true), EditorView.editable.of(false)];
  return [
    named,
    history(),
    keymap.of([...defaultKeymap, ...historyKeymap]),
    EditorView.updateListener.of((update) => update.docChanged && change(update.state.doc.toString())),
  ];
}

function marked(line: number): Extension {
  return StateField.define<DecorationSet>({
    create: ({ doc }) => (line > 0 && line <= doc.lines ? Decoration.set([MARKED.range(doc.line(line).from)]) : Decoration.none),
    update: (set, { changes }) => set.map(changes),
    provide: (field) => EditorView.decorations.from(field),
  });
}

/** In the page's own colours, which are those of its theme. */
const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.string, tags.number, tags.bool], color: 'var(--good)' },
  { tag: [tags.comment, tags.lineComment, tags.meta, tags.separator, tags.punctuation], color: 'var(--dim)' },
  { tag: tags.keyword, color: 'var(--open)' },
]);

const THEME = EditorView.theme({
  '&': { fontSize: '12.5px', backgroundColor: 'var(--raised)', color: 'var(--text)', height: '100%' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5' },
  '.cm-gutters': { backgroundColor: 'var(--raised)', color: 'var(--dim)', border: 'none' },
  '.cm-marked': { backgroundColor: 'var(--mark)' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
});
