import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createFileRegistry, type DescEnum, type DescField, type DescFile, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const GENERATED = new URL('./gen/', import.meta.url);

const theirs = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(new URL('descriptors.binpb', GENERATED))));

const names = readdirSync(GENERATED, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('_pb.js'))
  .map((name) => name.replace(/_pb\.js$/, '.proto'));

async function loaded(name: string): Promise<DescFile> {
  const module = (await import(new URL(name.replace(/\.proto$/, '_pb.js'), GENERATED).href)) as Record<string, { kind?: string }>;
  return Object.values(module).find(({ kind }) => kind === 'file') as DescFile;
}

/** What protobuf-es goes by, with types by name. Options such as `deprecated` are left out of ours. */
const told = {
  file: (file: DescFile) => ({
    name: file.name,
    text: String(file),
    proto: file.proto.name,
    package: file.proto.package,
    edition: file.edition,
    messages: file.messages.map(told.message),
    enums: file.enums.map(told.enum),
  }),
  message: (message: DescMessage): unknown => ({
    name: message.name,
    typeName: message.typeName,
    text: String(message),
    parent: message.parent?.typeName,
    fields: message.fields.map(told.field),
    field: Object.entries(message.field).map(([name, field]) => [name, field.number]),
    oneofs: message.oneofs.map((oneof) => [String(oneof), oneof.name, oneof.localName, oneof.fields.map(String)]),
    members: message.members.map(String),
    messages: message.nestedMessages.map(told.message),
    enums: message.nestedEnums.map(told.enum),
    extensions: message.nestedExtensions.length,
  }),
  field: (field: DescField) => {
    const {
      proto,
      deprecated,
      parent,
      oneof,
      message,
      enum: enumeration,
      toString,
      getDefaultValue,
      ...plain
    } = field as DescField & {
      getDefaultValue?: () => unknown;
    };
    return {
      ...plain,
      text: toString(),
      parent: parent.typeName,
      oneof: oneof?.name,
      message: message?.typeName,
      enum: enumeration?.typeName,
      default: getDefaultValue && [getDefaultValue()],
    };
  },
  enum: (enumeration: DescEnum) => ({
    name: enumeration.name,
    typeName: enumeration.typeName,
    text: String(enumeration),
    open: enumeration.open,
    parent: enumeration.parent?.typeName,
    sharedPrefix: enumeration.sharedPrefix,
    values: enumeration.values.map(({ proto, deprecated, parent, toString, ...value }) => ({ ...value, text: toString() })),
    value: Object.entries(enumeration.value).map(([number, { name }]) => [number, name]),
  }),
};

for (const name of names) {
  test(`the descriptors of ${name} are those that protobuf-es makes`, async () => {
    assert.deepEqual(told.file(await loaded(name)), told.file(theirs.getFile(name)!));
  });
}

test('a type refers to the same object as its own module gives', async () => {
  const { ListenerSchema } = await import('./gen/envoy/config/listener/v3/listener_pb.js');
  const { FilterChainSchema } = await import('./gen/envoy/config/listener/v3/listener_components_pb.js');
  assert.equal(ListenerSchema.field.filterChains.message, FilterChainSchema);
});
