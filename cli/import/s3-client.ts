/** Makes clients for Amazon S3. Its package is optional: it is loaded when an `s3://` address is given, and only then. */

import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { UsageError } from './arguments.ts';

/** The package, once it is loaded. */
type Sdk = typeof import('@aws-sdk/client-s3');

/** Clients for one bucket. */
export interface BucketClients {
  readonly sdk: Sdk;
  /** For requests that are repeated when they fail. */
  readonly client: S3Client;
  /** For reads, which continue by themselves after a failure. */
  readonly reading: S3Client;
}

/** Where a bucket is looked for if neither the environment nor the profile names a region. */
const FIRST_REGION = 'us-east-1';
/** Without them a request waits forever. */
const TIMEOUTS = { connectionTimeout: 10_000, requestTimeout: 30_000, throwOnRequestTimeout: true };

/**
 * Finds the bucket's region, so that nobody has to name it, and makes clients with the default credentials.
 *
 * @throws {@link UsageError} if the package is missing; whatever the SDK throws if the bucket does not exist or the
 *   credentials are not valid
 */
export async function connectToBucket(bucket: string): Promise<BucketClients> {
  const sdk = await loadSdk();
  const { S3Client } = sdk;
  const configured = await new S3Client({}).config.region().catch(() => FIRST_REGION);
  const first = new S3Client({ region: configured, requestHandler: TIMEOUTS });
  const common = {
    region: await findRegion(sdk, first, bucket, configured),
    // Found once: to find them may take a process or several requests.
    credentials: first.config.credentials,
    // S3 keeps checksums of whole objects; the client's own check cannot continue after a read that broke.
    responseChecksumValidation: 'WHEN_REQUIRED',
  } satisfies S3ClientConfig;
  return {
    sdk,
    client: new S3Client({ ...common, requestHandler: TIMEOUTS }),
    reading: new S3Client({ ...common, maxAttempts: 1 }),
  };
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UsageError('s3:// needs a package that is not installed. Run: npm install @aws-sdk/client-s3');
  }
}

/** S3 names a bucket's region even when it refuses the request (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html). */
async function findRegion(
  { HeadBucketCommand }: Sdk,
  client: S3Client,
  bucket: string,
  region: string,
): Promise<string> {
  try {
    const { BucketRegion = region } = await client.send(new HeadBucketCommand({ Bucket: bucket }));
    return BucketRegion;
  } catch (error) {
    const { $response } = error as { $response?: { headers?: Record<string, string> } };
    const named = $response?.headers?.['x-amz-bucket-region'];
    if (named === undefined) throw error;
    return named;
  }
}

/** The HTTP status of an error of the SDK, if there was an answer. */
export function statusOfSdk(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** Whether the same request may succeed later. */
export function isTransientForSdk(error: unknown): boolean {
  const status = statusOfSdk(error);
  if (status === undefined) return !isMissingCredentials(error);
  return status === 408 || status === 429 || status >= 500;
}

/**
 * What S3 said and what to do, on one line.
 *
 * @param what `object` or `bucket`
 */
export function explainS3(error: unknown, what: string): string {
  const status = statusOfSdk(error);
  const [message] = (error instanceof Error ? error.message : String(error)).split('\n');
  const name = (error as { name?: string }).name ?? '';
  if (isMissingCredentials(error)) {
    return `no credentials for AWS: ${message}. Run \`aws sso login\` or \`aws configure\`, or set AWS_PROFILE`;
  }
  if (/^(Expired|InvalidToken|InvalidAccessKeyId|SignatureDoesNotMatch|TokenRefreshRequired)/.test(name)) {
    return `AWS refuses the credentials (${name}). Renew them: \`aws sso login\`, or check AWS_PROFILE`;
  }
  if (name === 'InvalidObjectState') return 'the object is archived. Restore it first: `aws s3api restore-object`';
  if (status === 404) {
    const elsewhere = ', and AWS_REGION if it is in China or GovCloud';
    return `no such ${what}. Check the name${what === 'bucket' ? elsewhere : ''}`;
  }
  if (status === 401 || status === 403) {
    return `S3 answered ${status}. The identity needs s3:GetObject on the objects, s3:ListBucket on the bucket, and kms:Decrypt on the key if there is one`;
  }
  const answer = status === undefined ? '' : `S3 answered ${status}, `;
  return `${answer}${name === 'Error' || name === '' ? '' : `${name}: `}${message}. Check the network and the credentials: aws sts get-caller-identity`;
}

function isMissingCredentials(error: unknown): boolean {
  return /^(CredentialsProviderError|TokenProviderError)$/.test((error as { name?: string }).name ?? '');
}
