import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE } from 'js-yaml';
import type { PathStep } from '../resource.ts';

/** Where a value starts, where the key that names it starts, and the same for what it contains. */
interface Place {
  start: number;
  key: number;
  /** Of the text of a literal block. */
  indent?: number;
  children: Map<PathStep, Place> | undefined;
}

/** Offsets of a document's fields. Parses the document again, so ask only when there is something to report. */
export class Positions {
  readonly #root: Place;

  /** The text must be a document that parses. */
  constructor(text: string) {
    this.#root = build(parseEvents(text, { maxDepth: 1000 }), text);
  }

  /** The value at `path`, or the deepest part of the path that the document has. */
  value(path: readonly PathStep[]): Readonly<Place> {
    return this.#find(path);
  }

  /** Offset of the key of the last step of `path`; of an item of a list, of the item. */
  key(path: readonly PathStep[]): number {
    return this.#find(path).key;
  }

  #find(path: readonly PathStep[]): Place {
    let place = this.#root;
    for (const step of path) {
      const next = place.children?.get(step);
      if (!next) return place;
      place = next;
    }
    return place;
  }
}

interface Frame {
  readonly place: Place;
  readonly mapping: boolean;
  pendingKey: { name: string; offset: number } | undefined;
  count: number;
}

function build(events: readonly Event[], text: string): Place {
  const root: Place = { start: 0, key: 0, children: undefined };
  const anchors = new Map<string, Place>();
  const frames: Frame[] = [];

  const add = (event: { start: number; children?: Map<PathStep, Place> | undefined }, scalar?: string): Place | undefined => {
    const frame = frames.at(-1);
    if (!frame) return Object.assign(root, { start: event.start, key: event.start, children: event.children });
    if (!frame.mapping) return child(frame.place, frame.count++, event.start, event.start, event.children);
    if (!frame.pendingKey) {
      frame.pendingKey = { name: scalar ?? '', offset: event.start };
      return undefined;
    }
    const { name, offset } = frame.pendingKey;
    frame.pendingKey = undefined;
    if (name === '<<') {
      for (const [key, place] of event.children ?? [])
        if (!frame.place.children?.has(key)) child(frame.place, key, place.start, place.key, place.children);
    }
    // An absent value has no place of its own: its key's is the nearest.
    return child(frame.place, name, event.start < 0 ? offset : event.start, offset, event.children);
  };

  for (const event of events) {
    switch (event.type) {
      case EVENT_ID.MAPPING:
      case EVENT_ID.SEQUENCE: {
        const place = add({ start: event.start }) ?? { start: event.start, key: event.start, children: undefined };
        place.children = new Map();
        if (event.anchorStart >= 0) anchors.set(text.slice(event.anchorStart, event.anchorEnd), place);
        frames.push({ place, mapping: event.type === EVENT_ID.MAPPING, pendingKey: undefined, count: 0 });
        break;
      }
      case EVENT_ID.SCALAR: {
        const place = add({ start: quoteStart(event.valueStart, event.style) }, getScalarValue(text, event));
        if (place && event.style === SCALAR_STYLE.LITERAL_BLOCK) place.indent = event.indent;
        break;
      }
      case EVENT_ID.ALIAS:
        add({ start: event.anchorStart - 1, children: anchors.get(text.slice(event.anchorStart, event.anchorEnd))?.children });
        break;
      case EVENT_ID.POP:
        frames.pop();
        break;
      case EVENT_ID.DOCUMENT:
        break;
    }
  }
  return root;
}

/** Offsets of quoted scalars point behind the quote. */
function quoteStart(offset: number, style: number): number {
  if (offset < 0) return offset;
  return style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED ? offset - 1 : offset;
}

function child(parent: Place, step: PathStep, start: number, key: number, children: Map<PathStep, Place> | undefined): Place {
  const place: Place = { start, key, children };
  parent.children ??= new Map();
  parent.children.set(step, place);
  return place;
}
