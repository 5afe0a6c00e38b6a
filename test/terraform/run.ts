/**
 * `npm run test:terraform`: the module and its examples as a stranger gets them, in a copy. No account is needed: all
 * providers are mocked. They come from Terraform's registry, or from where TF_CLI_CONFIG_FILE says.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const copy = await mkdtemp(join(tmpdir(), 'mixpanel-terraform-'));
const module = join(copy, 'terraform');
/** A download of providers takes its time. */
const timeout = 900_000;

/** Plans an example with the values of its terraform.tfvars; mocks reach only providers that the example itself names. */
const PLAN = {
  'mocked.tf': 'provider "archive" {}\nprovider "time" {}\n',
  'plan.tftest.hcl': `mock_provider "google" {
  # Else the plan could not tell whether functions are active.
  override_during = plan
  mock_resource "google_cloudfunctions2_function" {
    defaults = { state = "ACTIVE" }
  }
}
mock_provider "archive" {}
mock_provider "time" {}

run "plans" {
  command = plan
}
`,
};
/** What an instance needs at least. */
const INSTANCE = { project_id: 'test-project', region: 'us-central1', mixpanel_project_id: '1' };
/** How examples are given secrets; one that has no such variable takes no notice. */
const SECRETS = {
  TF_VAR_mixpanel_secret: 'secret',
  TF_VAR_mixpanel_secrets: '{"test":"secret","production":"secret"}',
};

await assertTerraform();

before(async () => {
  // What somebody keeps in these folders, such as their values or a state, does not belong to the module.
  const own = /(^|\/)(\.terraform(\.lock\.hcl)?|[^/]*\.(tfvars|tfstate|tfstate\.backup|tfplan))$/;
  for (const name of ['functions', 'package.json', 'package-lock.json', 'tsconfig.json', 'terraform']) {
    await cp(join(root, name), join(copy, name), { recursive: true, filter: (path) => !own.test(path) });
  }
  await mkdir(join(copy, 'plugins'));
});
after(() => rm(copy, { recursive: true }));

test('the module, its tests and its examples are formatted', async () => {
  await terraform(module, ['fmt', '-check', '-diff', '-recursive']);
});

test('the module is valid', { timeout }, () => validate(module));

// Every run reads the provider's large schema anew, for seconds: two files at a time, the largest first.
describe('the module passes its tests', { concurrency: 2 }, async () => {
  const folder = join(root, 'terraform/tests');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.tftest.hcl'));
  const sized = await Promise.all(files.map(async (name) => ({ name, size: (await stat(join(folder, name))).size })));
  for (const { name } of sized.sort((a, b) => b.size - a.size)) {
    test(`the module passes ${name}`, { timeout }, async (context) => {
      context.diagnostic(summaryOf(await terraform(module, ['test', `-filter=tests/${name}`])));
    });
  }
});

for (const name of await readdir(join(root, 'terraform/modules'))) {
  test(`the module ${name} inside it is valid and passes its tests`, { timeout }, async (context) => {
    const folder = join(module, 'modules', name);
    await validate(folder);
    context.diagnostic(summaryOf(await terraform(folder, ['test'])));
  });
}

test("the archive installs what it needs alone, and compiles with a transform of one's own", { timeout }, async () => {
  const archived = await consoleOf(module, 'jsonencode(local.archived)', {
    ...INSTANCE,
    transform: './tests/transform/transform.ts',
    transform_files: { 'lib/share.ts': './tests/transform/lib/share.ts' },
  });
  const archive = join(copy, 'archive');
  for (const [name, content] of Object.entries(JSON.parse(archived) as Record<string, string>)) {
    await mkdir(dirname(join(archive, name)), { recursive: true });
    await writeFile(join(archive, name), content);
  }
  const installed = await run('npm', ['ci', '--dry-run', '--offline', '--ignore-scripts'], archive);
  const names = [...installed.matchAll(/^add (\S+)/gm)].map(([, name]) => name!);
  assert.ok(
    ['typescript', '@types/node', 'pino'].every((name) => names.includes(name)),
    installed,
  );
  assert.ok(!names.some((name) => ['node', 'playwright-core', 'knip', '@biomejs/biome'].includes(name)), installed);
  await symlink(join(root, 'node_modules'), join(archive, 'node_modules'));
  await run('npm', ['run', 'gcp-build'], archive);
  const { default: transform } = await import(join(archive, 'dist/functions/own/transform.js'));
  assert.equal((await import(join(archive, 'dist/functions/transform.js'))).default, transform);
});

test('how a checkout ends its lines makes no other archive', { timeout }, async () => {
  const hash = () => consoleOf(module, 'sha256(jsonencode(local.archived))', INSTANCE);
  const before = await hash();
  const path = join(module, '../functions/index.ts');
  const source = await readFile(path, 'utf8');
  await writeFile(path, source.replaceAll('\n', '\r\n'));
  assert.equal(await hash(), before);
  await writeFile(path, `${source}// more\n`);
  assert.notEqual(await hash(), before);
  await writeFile(path, source);
});

for (const name of await readdir(join(root, 'terraform/examples'))) {
  test(`the example ${name} is valid, and can be planned after its values are copied`, { timeout }, async () => {
    const folder = join(module, 'examples', name);
    await rename(join(folder, 'terraform.tfvars.example'), join(folder, 'terraform.tfvars'));
    for (const [file, content] of Object.entries(PLAN)) await writeFile(join(folder, file), content);
    await validate(folder);
    await terraform(folder, ['test'], SECRETS);
  });
}

test("the example for Amazon's side is formatted, and gives parameters that the template has", async () => {
  const folder = join(root, 'aws/terraform');
  await terraform(folder, ['fmt', '-check', '-diff']);
  const parameters = /parameters = \{\n(.*?)\n {2}\}/s.exec(await readFile(join(folder, 'main.tf'), 'utf8'))?.[1] ?? '';
  const template = await readFile(join(root, 'aws/s3-source.yaml'), 'utf8');
  const names = [...parameters.matchAll(/^ {4}(\w+) += /gm)].map(([, name]) => name);
  assert.ok(names.length >= 3, 'parameters were found');
  for (const name of names) assert.match(template, new RegExp(`^ {2}${name}:\n {4}Type: String$`, 'm'));
});

test('the topic for Kinesis in docs/s3.md is valid', { timeout }, async () => {
  const page = await readFile(join(root, 'docs/s3.md'), 'utf8');
  const [, example = ''] = /```hcl\n(data "google_project".*?)\nmodule "ingestion"/s.exec(page) ?? [];
  assert.match(example, /aws_kinesis/);
  const folder = join(copy, 'kinesis');
  await mkdir(folder);
  await writeFile(join(folder, 'main.tf'), example);
  await terraform(folder, ['fmt', '-check', '-diff']);
  await validate(folder);
});

async function validate(folder: string): Promise<void> {
  await terraform(folder, ['init', '-backend=false', '-input=false']);
  await terraform(folder, ['validate']);
}

/** Runs Terraform in a folder; resolves with what it printed. Rejects with that when it fails. */
function terraform(folder: string, [command, ...args]: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { cwd: folder, env: { ...environment(), ...env }, maxBuffer: 100_000_000 };
  execFile('terraform', [command!, '-no-color', ...args], options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(new Error(`terraform ${command} failed in ${folder}:\n${stdout}${stderr}`, { cause: error.code }));
  });
  return promise;
}

/** The value of an expression that is a text. */
async function consoleOf(folder: string, expression: string, variables: Record<string, unknown>): Promise<string> {
  await writeFile(join(folder, 'console.auto.tfvars.json'), JSON.stringify(variables));
  const printed = await run('terraform', ['console'], folder, `${expression}\n`).finally(() =>
    rm(join(folder, 'console.auto.tfvars.json')),
  );
  return JSON.parse(printed);
}

/** Resolves with what a command printed; rejects with that when it fails. */
function run(command: string, args: string[], cwd: string, input = ''): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { cwd, env: environment(), maxBuffer: 100_000_000 };
  const child = execFile(command, args, options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(new Error(`${command} ${args.join(' ')} failed in ${cwd}:\n${stdout}${stderr}`));
  });
  child.stdin!.end(input);
  return promise;
}

/** Of the variables that steer Terraform only the one that says where providers come from. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('TF_') || name === 'TF_CLI_CONFIG_FILE');
  return {
    ...Object.fromEntries(own),
    CHECKPOINT_DISABLE: 'true',
    TF_IN_AUTOMATION: 'true',
    // Each folder needs the same providers: they are downloaded once.
    TF_PLUGIN_CACHE_DIR: join(copy, 'plugins'),
    TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE: 'true',
  };
}

function summaryOf(printed: string): string {
  return printed.trimEnd().split('\n').at(-1) ?? '';
}

async function assertTerraform(): Promise<void> {
  const printed = await terraform(root, ['version', '-json']).catch((error) => {
    if (error.cause !== 'ENOENT') throw error;
    console.error(
      'Terraform is missing: install version 1.11 or newer, see https://developer.hashicorp.com/terraform/install',
    );
    process.exit(1);
  });
  const { terraform_version: version } = JSON.parse(printed);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  assert.ok(major > 1 || minor >= 11, `Terraform ${version} is too old: 1.11 or newer is needed`);
}
