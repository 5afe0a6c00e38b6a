/** Object resources of the local Cloud Storage: what describes an object, and the rules for it. */
import type { StagedContent } from './content.ts';
import { StorageError } from './errors.ts';

/** What a client may set, and change later. */
export interface ObjectMetadata {
  contentType?: string;
  contentEncoding?: string;
  contentDisposition?: string;
  contentLanguage?: string;
  cacheControl?: string;
  /** Custom metadata. */
  metadata?: Record<string, string>;
}

/** An object as it is kept; the links that depend on the server's address come with the answer. */
export interface StoredObject extends ObjectMetadata {
  kind: 'storage#object';
  id: string;
  name: string;
  bucket: string;
  /** Microseconds since 1970, as digits; rises with every write in this folder. */
  generation: string;
  metageneration: string;
  timeCreated: string;
  updated: string;
  timeFinalized: string;
  storageClass: string;
  /** Bytes as stored, as digits. */
  size: string;
  /** Base64. */
  md5Hash: string;
  /** Base64 of the four bytes, most significant first. */
  crc32c: string;
  etag: string;
}

/** An object resource of the JSON API, see https://cloud.google.com/storage/docs/json_api/v1/objects#resource. */
export interface ObjectResource extends StoredObject {
  mediaLink: string;
  selfLink: string;
}

/** Preconditions of a request, as digits; `0` for a generation means: no such object. */
export interface Conditions {
  ifGenerationMatch?: string;
  ifGenerationNotMatch?: string;
  ifMetagenerationMatch?: string;
  ifMetagenerationNotMatch?: string;
}

/** A change of metadata: what is null goes, what is absent stays. */
export type MetadataPatch = { [K in keyof ObjectMetadata]?: ObjectMetadata[K] | null } & {
  metadata?: Record<string, string | null> | null;
};

const settable = ['contentType', 'contentEncoding', 'contentDisposition', 'contentLanguage', 'cacheControl'] as const;

/**
 * Changes metadata.
 *
 * @param object - The object as it was.
 * @param patch - What changes.
 * @returns The object as it is from now on: the same generation, the next metageneration.
 */
export function patchObject(object: StoredObject, patch: MetadataPatch): StoredObject {
  const patched: StoredObject = {
    ...object,
    ...settableOf(patch),
    metageneration: String(Number(object.metageneration) + 1),
    updated: new Date().toISOString(),
  };
  patched.etag = etag(patched);
  if (patch.metadata !== undefined)
    patched.metadata = patch.metadata ? merge(object.metadata, patch.metadata) : undefined;
  return patched;
}

/** Custom metadata with a patch's keys set, and those that are null removed. Values are strings, whatever came. */
function merge(former: Record<string, string> | undefined, patch: Record<string, unknown>) {
  const merged = new Map(Object.entries(former ?? {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, String(value));
  }
  return merged.size > 0 ? Object.fromEntries(merged) : undefined;
}

function settableOf(given: MetadataPatch): Omit<ObjectMetadata, 'metadata'> {
  return Object.fromEntries(
    settable.filter((key) => given[key] !== undefined).map((key) => [key, given[key] ?? undefined]),
  );
}

/**
 * Describes a new generation.
 *
 * @param key - Which object, and its new generation.
 * @param content - The content, complete.
 * @param given - What the client says about it.
 */
export function describeObject(
  { bucket, name, generation }: Pick<StoredObject, 'bucket' | 'name' | 'generation'>,
  content: StagedContent,
  given: ObjectMetadata,
): StoredObject {
  const now = new Date().toISOString();
  const object: StoredObject = {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    name,
    bucket,
    generation,
    metageneration: '1',
    ...settableOf(given),
    timeCreated: now,
    updated: now,
    timeFinalized: now,
    storageClass: 'STANDARD',
    size: String(content.size),
    md5Hash: content.md5Hash(),
    crc32c: content.crc32c(),
    etag: '',
    metadata: given.metadata && merge(undefined, given.metadata),
  };
  object.etag = etag(object);
  return object;
}

function etag({ generation, metageneration }: StoredObject): string {
  return Buffer.from(`${generation}/${metageneration}`).toString('base64');
}

/**
 * @param object - The live object, if there is one.
 * @param conditions - What must be true of it.
 * @throws StorageError 412 when something is not.
 */
export function checkConditions(object: StoredObject | undefined, conditions: Conditions): void {
  const generation = object?.generation ?? '0';
  const metageneration = object?.metageneration;
  const { ifGenerationMatch, ifGenerationNotMatch, ifMetagenerationMatch, ifMetagenerationNotMatch } = conditions;
  if (
    (ifGenerationMatch !== undefined && ifGenerationMatch !== generation) ||
    (ifGenerationNotMatch !== undefined && ifGenerationNotMatch === generation) ||
    (ifMetagenerationMatch !== undefined && ifMetagenerationMatch !== metageneration) ||
    (ifMetagenerationNotMatch !== undefined && ifMetagenerationNotMatch === metageneration)
  ) {
    throw new StorageError(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.');
  }
}

/**
 * Holds a name against the rules of https://cloud.google.com/storage/docs/objects#naming.
 *
 * @param name - The name of a new object.
 * @throws StorageError 400 when no object may be called that.
 */
export function checkObjectName(name: string): void {
  if (name === '') throw new StorageError(400, 'required', 'Required');
  if (Buffer.byteLength(name) > 1024 || /[\r\n]/.test(name) || name === '.' || name === '..') {
    throw new StorageError(400, 'invalid', `Invalid object name: ${Buffer.byteLength(name)} bytes`);
  }
}
