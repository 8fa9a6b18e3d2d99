/**
 * Descriptors of the generated xDS types, made as they are asked for. protobuf-es decodes and links each file's descriptor when its module loads; the
 * hundred files of Envoy's API took a sixth of the time that a short command runs. Here a file names its types at once, and a type makes its fields when
 * somebody first looks at them. `scripts/generate-xds.mjs` writes the forms below from what protobuf-es itself makes of the files, so that its rules
 * (presence, packing, names) are not repeated here. Only proto3 without extensions and without services.
 */
import type { DescEnum, DescEnumValue, DescField, DescFile, DescMessage, DescOneof, ScalarType } from '@bufbuild/protobuf';
import { nestedTypes, protoCamelCase } from '@bufbuild/protobuf/reflect';

/** Numbers of descriptor.proto, whose enums would be made at start-up if they were imported. */
const EDITION_PROTO3 = 999;
const EXPLICIT = 1;
const IMPLICIT = 2;

/** A scalar type by its number in descriptor.proto, a message or enum by its full name. */
type TypeForm = number | string;
/** Singular; a list as `[type]`, with `true` behind it if it is packed; a map as `{key, value}`. */
type ShapeForm = TypeForm | readonly [element: TypeForm, packed?: true] | { readonly key: number; readonly value: TypeForm };
/** `group`: the index of the oneof that the field is in, or `optional`. */
export type FieldForm = readonly [name: string, number: number, shape: ShapeForm, group?: number | 'optional'];
/** `prefix`: the length of what the values' names have in common and their local names lack. Names and numbers take turns in `values`. */
export type EnumForm = readonly [name: string, values: readonly (string | number)[], prefix?: number];
export type MessageForm = readonly [
  name: string,
  fields: () => readonly FieldForm[],
  oneofs?: readonly string[],
  messages?: readonly MessageForm[],
  enums?: readonly EnumForm[],
];

/** By full name: of every file that has loaded. A file's imports load before it. */
const types = new Map<string, DescMessage | DescEnum>();

/**
 * @param name with its folder and `.proto`
 * @param imports the files whose types this one refers to
 */
export function fileDesc(
  name: string,
  packageName: string,
  imports: readonly DescFile[],
  messages: readonly MessageForm[],
  enums: readonly EnumForm[] = [],
): DescFile {
  for (const file of imports) if (!(file instanceof LazyFile)) for (const type of nestedTypes(file)) remember(type);
  return new LazyFile(name, packageName, imports, messages, enums) as unknown as DescFile;
}

function remember(type: { readonly kind: string; readonly typeName: string }): void {
  if (type.kind === 'message' || type.kind === 'enum') types.set(type.typeName, type as DescMessage | DescEnum);
}

/** The fields that all descriptors of protobuf-es have. Of the descriptor in protobuf's own form (`proto`) only the parts exist that its registries read. */
class LazyFile {
  readonly kind = 'file';
  readonly deprecated = false;
  readonly edition = EDITION_PROTO3;
  readonly name: string;
  readonly proto: { readonly name: string; readonly package: string };
  readonly dependencies: readonly DescFile[];
  readonly messages: readonly LazyMessage[];
  readonly enums: readonly LazyEnum[];
  readonly extensions = [];
  readonly services = [];

  constructor(
    name: string,
    packageName: string,
    dependencies: readonly DescFile[],
    messages: readonly MessageForm[],
    enums: readonly EnumForm[],
  ) {
    this.name = name.replace(/\.proto$/, '');
    this.proto = { name, package: packageName };
    this.dependencies = dependencies;
    const scope = packageName === '' ? '' : `${packageName}.`;
    this.enums = enums.map((form) => new LazyEnum(form, this, undefined, scope));
    this.messages = messages.map((form) => new LazyMessage(form, this, undefined, scope));
  }

  toString(): string {
    return `file ${this.proto.name}`;
  }
}

interface Members {
  readonly fields: readonly DescField[];
  readonly field: Readonly<Record<string, DescField>>;
  readonly oneofs: readonly DescOneof[];
  readonly members: readonly (DescField | DescOneof)[];
}

class LazyMessage {
  readonly kind = 'message';
  readonly deprecated = false;
  readonly file: LazyFile;
  readonly parent: LazyMessage | undefined;
  readonly name: string;
  readonly typeName: string;
  readonly nestedMessages: readonly LazyMessage[];
  readonly nestedEnums: readonly LazyEnum[];
  readonly nestedExtensions = [];
  readonly #form: MessageForm;
  #members: Members | undefined;

  constructor(form: MessageForm, file: LazyFile, parent: LazyMessage | undefined, scope: string) {
    const [name, , , messages = [], enums = []] = form;
    this.#form = form;
    this.file = file;
    this.parent = parent;
    this.name = name;
    this.typeName = scope + name;
    remember(this);
    this.nestedEnums = enums.map((each) => new LazyEnum(each, file, this, `${this.typeName}.`));
    this.nestedMessages = messages.map((each) => new LazyMessage(each, file, this, `${this.typeName}.`));
  }

  get fields(): readonly DescField[] {
    return this.#made().fields;
  }

  get field(): Readonly<Record<string, DescField>> {
    return this.#made().field;
  }

  get oneofs(): readonly DescOneof[] {
    return this.#made().oneofs;
  }

  get members(): readonly (DescField | DescOneof)[] {
    return this.#made().members;
  }

  #made(): Members {
    this.#members ??= membersOf(this, this.#form);
    return this.#members;
  }

  toString(): string {
    return `message ${this.typeName}`;
  }
}

class LazyEnum {
  readonly kind = 'enum';
  readonly deprecated = false;
  readonly open = true;
  readonly file: LazyFile;
  readonly parent: LazyMessage | undefined;
  readonly name: string;
  readonly typeName: string;
  readonly sharedPrefix: string | undefined;
  readonly #form: EnumForm;
  #values: readonly DescEnumValue[] | undefined;
  #value: Readonly<Record<number, DescEnumValue>> | undefined;

  constructor(form: EnumForm, file: LazyFile, parent: LazyMessage | undefined, scope: string) {
    this.#form = form;
    this.file = file;
    this.parent = parent;
    this.name = form[0];
    this.typeName = scope + form[0];
    this.sharedPrefix = (form[1][0] as string).slice(0, form[2] ?? 0).toLowerCase() || undefined;
    remember(this);
  }

  get values(): readonly DescEnumValue[] {
    this.#values ??= valuesOf(this, this.#form[1]);
    return this.#values;
  }

  /** By number; of several names for one number the first. */
  get value(): Readonly<Record<number, DescEnumValue>> {
    this.#value ??= Object.fromEntries([...this.values].reverse().map((value) => [value.number, value]));
    return this.#value;
  }

  toString(): string {
    return `enum ${this.typeName}`;
  }
}

function valuesOf(parent: LazyEnum, form: EnumForm[1]): DescEnumValue[] {
  const values: unknown[] = [];
  for (let i = 0; i < form.length; i += 2) {
    const name = form[i] as string;
    values.push({
      kind: 'enum_value',
      deprecated: false,
      parent,
      name,
      localName: name.slice(parent.sharedPrefix?.length ?? 0),
      number: form[i + 1],
      jsonName: name,
      toString: () => `enum value ${parent.typeName}.${name}`,
    });
  }
  return values as DescEnumValue[];
}

type OneofParts = { readonly fields: DescField[] };

function membersOf(parent: LazyMessage, [, fieldForms, oneofForms = []]: MessageForm): Members {
  const oneofs: OneofParts[] = oneofForms.map((name) => ({
    kind: 'oneof',
    deprecated: false,
    parent,
    fields: [],
    name,
    localName: protoCamelCase(name),
    toString: () => `oneof ${parent.typeName}.${name}`,
  }));
  const fields: DescField[] = [];
  const field: Record<string, DescField> = {};
  const members = new Set<unknown>();
  for (const form of fieldForms()) {
    const group = form[3];
    const oneof = typeof group === 'number' ? oneofs[group] : undefined;
    const made = fieldOf(parent, form, oneof);
    fields.push(made);
    field[made.localName] = made;
    oneof?.fields.push(made);
    members.add(oneof ?? made);
  }
  return { fields, field, oneofs, members: [...members] } as unknown as Members;
}

const nothing = () => undefined;

function fieldOf(parent: LazyMessage, [name, number, shape, group]: FieldForm, oneof: OneofParts | undefined): DescField {
  const { kind, key, packed, type } = shapeOf(shape);
  const { scalar, message, enumeration } = typeOf(type);
  const of = scalar !== undefined ? 'scalar' : message ? 'message' : 'enum';
  const localName = name.includes('_') ? protoCamelCase(name) : name;
  // What a field does not have is there and undefined, as in protobuf-es: all fields' objects have one shape.
  return {
    kind: 'field',
    deprecated: false,
    parent,
    oneof,
    name,
    localName,
    jsonName: localName,
    number,
    fieldKind: kind ?? of,
    scalar,
    message,
    enum: enumeration,
    presence: group !== undefined || (message && kind === undefined) ? EXPLICIT : IMPLICIT,
    utf8Validation: true,
    listKind: kind === 'list' ? of : undefined,
    mapKind: kind === 'map' ? of : undefined,
    mapKey: key,
    delimitedEncoding: message || kind === 'map' ? false : undefined,
    packed: kind === 'list' ? packed : undefined,
    longAsString: false,
    getDefaultValue: kind === undefined ? nothing : undefined,
    toString: () => `field ${parent.typeName}.${name}`,
  } as unknown as DescField;
}

function shapeOf(shape: ShapeForm): { kind?: 'list' | 'map'; key?: number; packed?: boolean; type: TypeForm } {
  if (typeof shape === 'number' || typeof shape === 'string') return { type: shape };
  if ('key' in shape) return { kind: 'map', key: shape.key, type: shape.value };
  return { kind: 'list', packed: shape[1] === true, type: shape[0] };
}

function typeOf(form: TypeForm): { scalar?: ScalarType; message?: DescMessage; enumeration?: DescEnum } {
  if (typeof form === 'number') return { scalar: form };
  const type = types.get(form);
  if (!type) throw new Error(`${form} is in no xDS file that has loaded: generate them again (npm ci)`);
  return type.kind === 'message' ? { message: type } : { enumeration: type };
}
