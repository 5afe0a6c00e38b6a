/**
 * Stands for Google's Storage Transfer Service: polls the queue of a bucket's notifications and copies each object, at
 * least once (https://cloud.google.com/storage-transfer/docs/event-driven-transfers).
 */

import { GetObjectCommand } from '@aws-sdk/client-s3';
import { DeleteMessageCommand, type Message, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { Bucket } from '@google-cloud/storage';
import type { Aws } from './aws.ts';

/** A job, as Terraform makes it. */
export interface TransferJob {
  queueUrl: string;
  /** The import bucket; its client never decompresses. */
  sink: Bucket;
  /** `s3/BUCKET/` */
  path: string;
}

interface Notification {
  Records?: { s3: { bucket: { name: string }; object: { key: string } } }[];
}

/** The key of an object, which a notification encodes as a form does. */
export function keyOf(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}

/**
 * Handles the messages that are in the queue now, the last one first.
 *
 * @param times how often each message is handled before it is deleted
 * @returns names of the objects that were copied; one that is there with the same content is not
 */
export async function transfer(aws: Aws, job: TransferJob, times = 1): Promise<string[]> {
  const copied: string[] = [];
  const messages = await receiveAll(aws, job.queueUrl);
  for (const { Body, ReceiptHandle } of messages.reverse()) {
    const { Records = [] }: Notification = JSON.parse(Body!);
    for (const { s3 } of Records) {
      for (let time = 0; time < times; time++) {
        const name = await copy(aws, job, s3.bucket.name, keyOf(s3.object.key));
        if (name !== undefined) copied.push(name);
      }
    }
    await aws.sqs.send(new DeleteMessageCommand({ QueueUrl: job.queueUrl, ReceiptHandle }));
  }
  return copied;
}

async function receiveAll({ sqs }: Aws, queueUrl: string): Promise<Message[]> {
  const all: Message[] = [];
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10 }),
    );
    if (Messages.length === 0) return all;
    all.push(...Messages);
  }
}

/** Copies an object with its metadata, unless the same content is there: `overwrite_when = DIFFERENT`. */
async function copy(
  { s3 }: Aws,
  { sink, path }: TransferJob,
  bucket: string,
  key: string,
): Promise<string | undefined> {
  const { Body, ETag, Metadata, ContentEncoding, ContentType } = await s3.send(
    new GetObjectCommand({ Bucket: bucket, Key: key }),
  );
  const file = sink.file(path + key);
  const [isThere] = await file.exists();
  if (isThere && ETag === `"${Buffer.from((await file.getMetadata())[0].md5Hash!, 'base64').toString('hex')}"`) {
    return undefined;
  }
  await file.save(Buffer.from(await Body!.transformToByteArray()), {
    resumable: false,
    metadata: {
      contentType: ContentType,
      ...(ContentEncoding === undefined ? {} : { contentEncoding: ContentEncoding }),
      metadata: { ...Metadata },
    },
  });
  return file.name;
}
