/** The template in `aws/`: what its linter says, what it makes, and what its policies allow. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { GetRoleCommand } from '@aws-sdk/client-iam';
import {
  GetBucketNotificationConfigurationCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { ACCOUNT, type Aws, createBucket, createStack, REGION, type Stack, SUBJECT_ID, startAws } from './aws.ts';
import { loadTemplate, resolveTemplate, type Template } from './template.ts';
import { keyOf } from './transfer-service.ts';

const path = new URL('../../aws/s3-source.yaml', import.meta.url).pathname;

/** @param tools the folder of {@link findTools} */
export function testTemplate(tools: string): void {
  const run = promisify(execFile);

  describe('the template for Amazon', () => {
    let aws: Aws;
    let stack: Stack;
    let template: Template;

    before(async () => {
      template = await loadTemplate(tools, path);
      aws = await startAws(tools);
      await createBucket(aws, 'shop-events');
      stack = await createStack(aws, 'shop', { BucketName: 'shop-events', Prefix: 'events/' });
    });
    after(() => aws?.[Symbol.asyncDispose]());

    test('its linter finds nothing', async () => {
      assert.equal((await run(join(tools, 'cfn-lint'), ['--include-checks', 'I', '--', path])).stdout, '');
    });

    test('an upload puts a message on the queue, once the printed command has added the notification', async () => {
      await aws.shell(stack.outputs.NotificationCommand!);
      await put('events/a b+ü.ndjson');
      await put('other/c.ndjson');
      const bodies = await messages(stack.resources.Queue!);
      const keys = bodies.flatMap((body) => body.Records?.map(({ s3 }) => keyOf(s3.object.key)) ?? []);
      assert.deepEqual(keys, ['events/a b+ü.ndjson'], 'the key of the prefix, and no other');
    });

    test('the printed command leaves the notifications that the bucket has, and can be run again', async () => {
      const { QueueUrl } = await aws.sqs.send(new CreateQueueCommand({ QueueName: 'of-someone-else' }));
      const other = {
        Id: 'of-someone-else',
        QueueArn: `arn:aws:sqs:${REGION}:${ACCOUNT}:of-someone-else`,
        Events: ['s3:ObjectRemoved:*' as const],
      };
      assert.ok(QueueUrl);
      await setNotifications([other]);
      await aws.shell(stack.outputs.NotificationCommand!);
      await aws.shell(stack.outputs.NotificationCommand!);
      const found = await notifications();
      assert.deepEqual(
        found.map(({ Id, QueueArn, Events }) => ({ Id, QueueArn, Events })),
        [other, { Id: 'mixpanel-shop', QueueArn: stack.outputs.QueueArn, Events: ['s3:ObjectCreated:*'] }],
      );
    });

    test('the function that adds the notification leaves the others, and takes away its own alone', async () => {
      const other = {
        Id: 'of-someone-else',
        QueueArn: `arn:aws:sqs:${REGION}:${ACCOUNT}:of-someone-else`,
        Events: ['s3:ObjectRemoved:*' as const],
      };
      await setNotifications([other]);
      await custom('Create');
      await custom('Create');
      assert.deepEqual(
        (await notifications()).map(({ Id }) => Id),
        ['of-someone-else', 'mixpanel-shop'],
      );
      assert.equal((await notifications())[1]?.Filter?.Key?.FilterRules?.[0]?.Value, 'events/');
      await custom('Delete');
      assert.deepEqual(
        (await notifications()).map(({ Id }) => Id),
        ['of-someone-else'],
      );
    });

    test('the function reports an error with its reason, and a deleted bucket is none when the stack is deleted', async () => {
      assert.match(await custom('Create', 'no-such-bucket'), /^FAILED .*NoSuchBucket/);
      assert.match(await custom('Delete', 'no-such-bucket'), /^SUCCESS /);
    });

    test('the role trusts the one subject, by web identity from Google, and nobody else', async () => {
      const { Role } = await aws.iam.send(new GetRoleCommand({ RoleName: stack.resources.TransferRole! }));
      assert.equal(Role?.Arn, stack.outputs.RoleArn);
      assert.deepEqual(documentOf(Role?.AssumeRolePolicyDocument).Statement, [
        {
          Effect: 'Allow',
          Principal: { Federated: 'accounts.google.com' },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: { StringEquals: { 'accounts.google.com:sub': SUBJECT_ID } },
        },
      ]);
    });

    test('the role can read the one bucket below the prefix, and its queue, and nothing else', () => {
      assert.deepEqual(allowed({ BucketName: 'shop-events', Prefix: 'events/' }), {
        's3:GetBucketLocation': 'arn:aws:s3:::shop-events',
        's3:ListBucket': 'arn:aws:s3:::shop-events',
        's3:GetObject': 'arn:aws:s3:::shop-events/events/*',
        'sqs:ReceiveMessage': '<Queue.Arn>',
        'sqs:DeleteMessage': '<Queue.Arn>',
        'sqs:ChangeMessageVisibility': '<Queue.Arn>',
      });
    });

    test('with a key the role can decrypt with that key', () => {
      const KmsKeyArn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/1234abcd`;
      const permissions = allowed({ BucketName: 'shop-events', KmsKeyArn });
      assert.equal(permissions['kms:Decrypt'], KmsKeyArn);
      assert.equal(permissions['s3:GetObject'], 'arn:aws:s3:::shop-events/*');
    });

    test('only S3 can send to the queue, for the one bucket of this account', () => {
      const { QueuePolicy } = resolveTemplate(template, { BucketName: 'shop-events' });
      assert.deepEqual(QueuePolicy?.Properties, {
        Queues: ['<Queue>'],
        PolicyDocument: {
          Version: '2012-10-17',
          Statement: [
            {
              Sid: 'NotificationsOfTheBucket',
              Effect: 'Allow',
              Principal: { Service: 's3.amazonaws.com' },
              Action: 'sqs:SendMessage',
              Resource: '<Queue.Arn>',
              Condition: {
                ArnEquals: { 'aws:SourceArn': 'arn:aws:s3:::shop-events' },
                StringEquals: { 'aws:SourceAccount': ACCOUNT },
              },
            },
          ],
        },
      });
    });

    test('nothing that changes notifications is made unless asked for, and then for the one bucket', () => {
      const without = resolveTemplate(template, { BucketName: 'shop-events' });
      assert.deepEqual(
        Object.values(without).filter(({ Type }) => /Lambda|Custom/.test(Type)),
        [],
      );
      const { NotificationRole, Notification } = resolveTemplate(template, {
        BucketName: 'shop-events',
        Prefix: 'events/',
        AddNotification: 'yes',
      });
      const [policy] = NotificationRole!.Properties.Policies as { PolicyDocument: PolicyDocument }[];
      assert.deepEqual(policy?.PolicyDocument.Statement, [
        {
          Effect: 'Allow',
          Action: ['s3:GetBucketNotification', 's3:PutBucketNotification'],
          Resource: 'arn:aws:s3:::shop-events',
        },
      ]);
      const { ServiceToken: _, ServiceTimeout: __, ...given } = Notification!.Properties;
      assert.deepEqual(given, {
        Bucket: 'shop-events',
        Id: 'mixpanel-shop',
        QueueArn: '<Queue.Arn>',
        Prefix: 'events/',
      });
    });

    test('notifications are kept for 14 days, and those that fail for a day go to the dead-letter queue', async () => {
      const queue = await attributes(stack.resources.Queue!);
      const deadLetters = await attributes(stack.resources.DeadLetterQueue!);
      const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(queue.RedrivePolicy!);
      assert.equal(deadLetterTargetArn, deadLetters.QueueArn);
      assert.equal(Number(queue.VisibilityTimeout) * Number(maxReceiveCount), 86_400);
      for (const { MessageRetentionPeriod } of [queue, deadLetters]) assert.equal(MessageRetentionPeriod, '1209600');
    });

    test('alarms watch the dead letters and the age of what waits, and go to the topic', () => {
      const AlarmTopicArn = `arn:aws:sns:${REGION}:${ACCOUNT}:alarms`;
      const resources = resolveTemplate(template, { BucketName: 'shop-events', AlarmTopicArn });
      const alarms = [resources.DeadLetterAlarm, resources.BacklogAlarm].map((alarm) => alarm!.Properties);
      assert.deepEqual(
        alarms.map(({ MetricName, Dimensions, Threshold, AlarmActions }) => ({
          MetricName,
          Dimensions,
          Threshold,
          AlarmActions,
        })),
        [
          {
            MetricName: 'ApproximateNumberOfMessagesVisible',
            Dimensions: [{ Name: 'QueueName', Value: '<DeadLetterQueue.QueueName>' }],
            Threshold: 0,
            AlarmActions: [AlarmTopicArn],
          },
          {
            MetricName: 'ApproximateAgeOfOldestMessage',
            Dimensions: [{ Name: 'QueueName', Value: '<Queue.QueueName>' }],
            Threshold: 3_600,
            AlarmActions: [AlarmTopicArn],
          },
        ],
      );
      const { DeadLetterAlarm } = resolveTemplate(template, { BucketName: 'shop-events' });
      assert.equal(DeadLetterAlarm?.Properties.AlarmActions, undefined);
    });

    test('the output for Terraform names what the module takes', async () => {
      const { RoleArn, QueueArn, Terraform } = stack.outputs;
      assert.equal(
        Terraform,
        `{ bucket = "shop-events", role_arn = "${RoleArn}", queue_arn = "${QueueArn}", prefixes = compact(["events/"]) }`,
      );
      const variables = await readFile(new URL('../../terraform/variables.tf', import.meta.url), 'utf8');
      for (const [, name] of Terraform.matchAll(/(\w+) = /g))
        assert.match(variables, new RegExp(`^    ${name} +=`, 'm'));
    });

    test('docs/s3.md explains every parameter, and names outputs that the stack has', async () => {
      const page = await readFile(new URL('../../docs/s3.md', import.meta.url), 'utf8');
      const section = page.split(/^### /m).find((text) => text.startsWith('2. Amazon')) ?? '';
      const rows = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
      assert.deepEqual(rows.sort(), Object.keys(template.Parameters).sort());
      for (const [, name] of page.matchAll(/OutputKey=='(\w+)'/g)) assert.ok(stack.outputs[name!], name);
    });

    async function put(key: string): Promise<void> {
      await aws.s3.send(new PutObjectCommand({ Bucket: 'shop-events', Key: key, Body: '{}' }));
    }

    async function messages(queueUrl: string) {
      const { Messages = [] } = await aws.sqs.send(
        new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10 }),
      );
      return Messages.map(
        ({ Body }) => JSON.parse(Body!) as { Records?: { s3: { object: { key: string } } }[]; Event?: string },
      );
    }

    async function notifications() {
      const found = await aws.s3.send(new GetBucketNotificationConfigurationCommand({ Bucket: 'shop-events' }));
      return found.QueueConfigurations ?? [];
    }

    async function setNotifications(QueueConfigurations: Awaited<ReturnType<typeof notifications>>): Promise<void> {
      await aws.s3.send(
        new PutBucketNotificationConfigurationCommand({
          Bucket: 'shop-events',
          NotificationConfiguration: { QueueConfigurations },
        }),
      );
    }

    async function attributes(url: string): Promise<Record<string, string>> {
      const found = await aws.sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] }));
      return found.Attributes ?? {};
    }

    /** Which resource each action of the role is allowed on. */
    function allowed(parameters: Record<string, string>): Record<string, unknown> {
      const { TransferRole } = resolveTemplate(template, parameters);
      const [policy, ...others] = TransferRole!.Properties.Policies as { PolicyDocument: PolicyDocument }[];
      assert.deepEqual(others, []);
      const entries = policy!.PolicyDocument.Statement.flatMap(({ Sid: _, Effect, Action, Resource, ...rest }) => {
        assert.equal(Effect, 'Allow');
        assert.deepEqual(rest, {});
        return [Action].flat().map((action) => [action, Resource] as const);
      });
      return Object.fromEntries(entries);
    }

    /** Runs the template's own function as Lambda does; resolves with what it reports to CloudFormation. */
    async function custom(requestType: string, bucket = 'shop-events'): Promise<string> {
      const code = `
import sys, types, yaml
class Loader(yaml.SafeLoader): pass
Loader.add_multi_constructor('!', lambda loader, tag, node: None)
template = yaml.load(open(sys.argv[1]), Loader)
code = template['Resources']['NotificationFunction']['Properties']['Code']['ZipFile']
assert len(code) <= 4096
cfnresponse = types.ModuleType('cfnresponse')
cfnresponse.SUCCESS, cfnresponse.FAILED = 'SUCCESS', 'FAILED'
cfnresponse.send = lambda event, context, status, data, physical=None, noEcho=False, reason=None: print(status, physical, reason)
sys.modules['cfnresponse'] = cfnresponse
scope = {}
exec(code, scope)
scope['handler']({'RequestType': sys.argv[2], 'ResourceProperties': {'Bucket': sys.argv[3], 'Id': 'mixpanel-shop', 'QueueArn': sys.argv[4], 'Prefix': 'events/'}}, None)
`;
      const args = ['-c', code, path, requestType, bucket, stack.outputs.QueueArn!];
      const { stdout } = await run(join(tools, 'python'), args, { env: { ...aws.env, AWS_DEFAULT_REGION: REGION } });
      return stdout.trim();
    }
  });
}

interface PolicyDocument {
  Statement: { Sid?: string; Effect: string; Action: string | string[]; Resource: unknown }[];
}

/** IAM answers with documents that are encoded for a URL. */
function documentOf(encoded: string | undefined): PolicyDocument {
  return JSON.parse(decodeURIComponent(encoded ?? ''));
}
