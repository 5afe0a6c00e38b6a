/** AWS as moto serves it, on this machine, and the official clients for it. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { IAMClient } from '@aws-sdk/client-iam';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { freePort } from '../../local-cloud/served-function.ts';
import { startServer } from '../emulators/servers.ts';

/** The account that everything is in, and the region; not the one that clients begin with. */
export const ACCOUNT = '123456789012';
export const REGION = 'eu-west-1';
/** What Google's transfer agent is known as in these tests. */
export const SUBJECT_ID = '112233445566778899001';

/** moto, and clients for it. */
export interface Aws extends AsyncDisposable {
  readonly url: string;
  /** What a command needs to reach it, and no more. */
  readonly env: Readonly<Record<string, string>>;
  readonly tools: string;
  readonly s3: S3Client;
  readonly sqs: SQSClient;
  readonly iam: IAMClient;
  readonly cloudFormation: CloudFormationClient;
  /** Runs a shell command as somebody with AWS's command line does. */
  shell(command: string): Promise<string>;
}

/** What a stack of `aws/s3-source.yaml` gives. */
export interface Stack {
  readonly outputs: Readonly<Record<string, string>>;
  /** Physical ids by logical id. */
  readonly resources: Readonly<Record<string, string>>;
}

/** @param tools the folder of {@link findTools} */
export async function startAws(tools: string): Promise<Aws> {
  const port = await freePort();
  const server = await startServer(port, {
    command: join(tools, 'moto_server'),
    args: ['-H', '127.0.0.1', '-p', String(port)],
    ready: 'Running on',
  });
  const url = `http://${server.host}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const common = { endpoint: url, region: REGION, credentials };
  const env = {
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    // Nothing of whoever runs the tests plays a part.
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  return {
    url,
    env,
    tools,
    s3: new S3Client(common),
    sqs: new SQSClient(common),
    iam: new IAMClient(common),
    cloudFormation: new CloudFormationClient(common),
    async shell(command) {
      const folder = await mkdtemp(join(tmpdir(), 'mixpanel-s3-'));
      const options = {
        env: { ...env, PATH: `${tools}:${process.env.PATH}`, AWS_DEFAULT_REGION: REGION },
        cwd: folder,
      };
      const { stdout } = await promisify(execFile)('bash', ['-eo', 'pipefail', '-c', command], options);
      await rm(folder, { recursive: true });
      return stdout;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Makes a bucket in {@link REGION}. */
export async function createBucket({ s3 }: Aws, name: string): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { LocationConstraint: REGION } }));
}

/** Creates a stack of the template, and waits until it is complete. */
export async function createStack(aws: Aws, name: string, parameters: Record<string, string>): Promise<Stack> {
  await aws.cloudFormation.send(
    new CreateStackCommand({
      StackName: name,
      TemplateBody: await readFile(new URL('../../aws/s3-source.yaml', import.meta.url), 'utf8'),
      Capabilities: ['CAPABILITY_IAM'],
      Parameters: Object.entries({ TransferSubjectId: SUBJECT_ID, ...parameters }).map(([key, value]) => ({
        ParameterKey: key,
        ParameterValue: value,
      })),
    }),
  );
  const { Stacks = [] } = await aws.cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
  const { StackResources = [] } = await aws.cloudFormation.send(new DescribeStackResourcesCommand({ StackName: name }));
  return {
    outputs: Object.fromEntries(
      (Stacks[0]?.Outputs ?? []).map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]),
    ),
    resources: Object.fromEntries(
      StackResources.map(({ LogicalResourceId, PhysicalResourceId }) => [LogicalResourceId, PhysicalResourceId]),
    ),
  };
}
