/** Buckets and objects in a folder: contents under hashed names, each with a JSON file that describes its live generation. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { StagedContent } from './content.ts';
import { StorageError } from './errors.ts';
import {
  type Conditions,
  checkConditions,
  checkObjectName,
  describeObject,
  type MetadataPatch,
  type ObjectMetadata,
  patchObject,
  type StoredObject,
} from './resource.ts';

/** A bucket as it is kept. */
export interface StoredBucket {
  name: string;
  timeCreated: string;
}

interface Bucket extends StoredBucket {
  folder: string;
  objects: Map<string, StoredObject>;
  /** Names in the order of their UTF-8 bytes; absent when it must be made anew. */
  sorted?: string[];
}

/**
 * The buckets and objects of one folder. What is live is held in memory and read from the folder at start; every change
 * is on disk, by rename, before its method returns. Changes are synchronous, so a precondition and the change that
 * depends on it are one step.
 */
export class ObjectStore {
  readonly #folder: string;
  readonly #buckets = new Map<string, Bucket>();
  #lastGeneration = 0;

  /** @param folder - Where everything is kept; made if it is missing. */
  constructor(folder: string) {
    this.#folder = folder;
    rmSync(this.#staging, { recursive: true, force: true });
    mkdirSync(this.#staging, { recursive: true });
    mkdirSync(join(folder, 'buckets'), { recursive: true });
    for (const name of readdirSync(join(folder, 'buckets'))) this.#load(name);
  }

  /**
   * @param name - A bucket's name.
   * @returns The bucket.
   * @throws StorageError 404 when there is none.
   */
  bucket(name: string): StoredBucket {
    return this.#bucket(name);
  }

  /**
   * Makes a bucket, or finds it there already.
   *
   * @param name - Its name.
   * @returns Whether it is new.
   * @throws StorageError 400 when no bucket may be called that.
   */
  createBucket(name: string): boolean {
    // The rule also keeps the name from leading out of the folder: https://cloud.google.com/storage/docs/buckets#naming
    if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(name)) {
      throw new StorageError(400, 'invalid', `Invalid bucket name: '${name}'`);
    }
    if (this.#buckets.has(name)) return false;
    const folder = join(this.#folder, 'buckets', name);
    const bucket: StoredBucket = { name, timeCreated: new Date().toISOString() };
    mkdirSync(folder, { recursive: true });
    this.#write(join(folder, 'bucket.json'), bucket);
    this.#buckets.set(name, { ...bucket, folder, objects: new Map() });
    return true;
  }

  /** @returns A new, empty place for content on its way in. */
  stage(): StagedContent {
    return new StagedContent(this.#staging);
  }

  /**
   * Finds the live generation of an object.
   *
   * @param bucketName - The bucket.
   * @param name - The object.
   * @param generation - The generation that it must be, if any; an older one is gone, as without versioning.
   * @param conditions - Preconditions of the request.
   * @throws StorageError 404 when it is not there, 412 when a precondition does not hold.
   */
  object(bucketName: string, name: string, generation?: string | null, conditions: Conditions = {}): StoredObject {
    const object = this.#bucket(bucketName).objects.get(name);
    if (!object || (generation && generation !== object.generation)) {
      throw new StorageError(404, 'notFound', `No such object: ${bucketName}/${name}`);
    }
    checkConditions(object, conditions);
    return object;
  }

  /** @returns A file descriptor of the object's content, which stays readable when the object is overwritten or deleted. */
  openContent(object: StoredObject): number {
    return openSync(contentPath(this.#bucket(object.bucket), object), 'r');
  }

  /**
   * @param bucketName - The bucket.
   * @returns Its objects' names, in the order of their UTF-8 bytes.
   */
  names(bucketName: string): readonly string[] {
    const bucket = this.#bucket(bucketName);
    bucket.sorted ??= [...bucket.objects.keys()].map(utf8Key).sort().map(fromUtf8Key);
    return bucket.sorted;
  }

  /**
   * Makes staged content the live generation of an object.
   *
   * @throws StorageError 400 for a name that Cloud Storage does not allow, 404 without the bucket, 412 when a precondition
   * does not hold; the staged content is discarded then.
   */
  commit(bucketName: string, name: string, content: StagedContent, given: ObjectMetadata, conditions: Conditions) {
    try {
      const bucket = this.#bucket(bucketName);
      checkObjectName(name);
      const former = bucket.objects.get(name);
      checkConditions(former, conditions);
      const object = describeObject({ bucket: bucketName, name, generation: this.#nextGeneration() }, content, given);
      renameSync(content.path, contentPath(bucket, object));
      this.#write(sidecarPath(bucket, name), object);
      if (former) unlinkSync(contentPath(bucket, former));
      else bucket.sorted = undefined;
      bucket.objects.set(name, object);
      return object;
    } catch (error) {
      content.discard();
      throw error;
    }
  }

  /** Changes the metadata of an object that was found; its generation stays, its metageneration rises by one. */
  patch(object: StoredObject, patch: MetadataPatch): StoredObject {
    const bucket = this.#bucket(object.bucket);
    const patched = patchObject(object, patch);
    this.#write(sidecarPath(bucket, object.name), patched);
    bucket.objects.set(object.name, patched);
    return patched;
  }

  /** Deletes an object that was found. */
  delete(object: StoredObject): void {
    const bucket = this.#bucket(object.bucket);
    unlinkSync(sidecarPath(bucket, object.name));
    unlinkSync(contentPath(bucket, object));
    bucket.objects.delete(object.name);
    bucket.sorted = undefined;
  }

  get #staging(): string {
    return join(this.#folder, 'staging');
  }

  #bucket(name: string): Bucket {
    const bucket = this.#buckets.get(name);
    if (!bucket) throw new StorageError(404, 'notFound', 'The specified bucket does not exist.');
    return bucket;
  }

  #nextGeneration(): string {
    this.#lastGeneration = Math.max(this.#lastGeneration + 1, Date.now() * 1000);
    return String(this.#lastGeneration);
  }

  #load(name: string): void {
    const folder = join(this.#folder, 'buckets', name);
    if (!existsSync(join(folder, 'bucket.json'))) return;
    const bucket: Bucket = {
      ...JSON.parse(readFileSync(join(folder, 'bucket.json'), 'utf8')),
      folder,
      objects: new Map(),
    };
    const files = readdirSync(folder);
    for (const file of files) {
      if (!/^[0-9a-f]{64}\.json$/.test(file)) continue;
      const object: StoredObject = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      bucket.objects.set(object.name, object);
      this.#lastGeneration = Math.max(this.#lastGeneration, Number(object.generation));
    }
    // A server that was killed between two steps of a change leaves content that nothing points to.
    const live = new Set([...bucket.objects.values()].map((object) => contentPath(bucket, object)));
    for (const file of files) {
      if (/^[0-9a-f]{64}\.\d+$/.test(file) && !live.has(join(folder, file))) unlinkSync(join(folder, file));
    }
    this.#buckets.set(name, bucket);
  }

  #write(path: string, value: unknown): void {
    const written = join(this.#staging, 'sidecar.json');
    writeFileSync(written, JSON.stringify(value));
    renameSync(written, path);
  }
}

function hashed(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

function contentPath(bucket: Bucket, object: StoredObject): string {
  return join(bucket.folder, `${hashed(object.name)}.${object.generation}`);
}

function sidecarPath(bucket: Bucket, name: string): string {
  return join(bucket.folder, `${hashed(name)}.json`);
}

/** A string whose order by UTF-16 code units is the order of the name's UTF-8 bytes. */
export function utf8Key(name: string): string {
  return Buffer.from(name).toString('latin1');
}

function fromUtf8Key(key: string): string {
  return Buffer.from(key, 'latin1').toString();
}
