/**
 * `npm run test:apply`: installs, changes and destroys with the real providers, as an operator would over the years,
 * against Google's management APIs in memory. These are no part of this project: GOOGLE_APIS names a module that exports
 * `startGoogleApis`. The providers come from Terraform's registry, or from where TF_CLI_CONFIG_FILE says.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What is used of the APIs in memory. */
interface GoogleApis {
  /** By name, as Google has it; buckets begin with `b/`. */
  store: Map<string, Resource>;
  /** One line for each call: method, service, path and status. */
  log: string[];
  env: Record<string, string>;
  /** What is wrong with what stands, in words. */
  audit(): string[];
  left(): { resources: string[]; bindings: string[] };
  stop(): void;
}

// biome-ignore lint/suspicious/noExplicitAny: resources of many kinds
type Resource = any;

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = await mkdtemp(join(tmpdir(), 'mixpanel-apply-'));
const SECRET = 's3cret-of-the-acceptance';
const REGION = 'projects/demo-project/locations/us-central1';
const FUNCTIONS = ['import-object', 'drain-subscription'].map((name) => `${REGION}/functions/mixpanel-${name}`);

const MAIN = `
variable "name" {
  default = "mixpanel"
}
variable "protected" {
  default = true
}
variable "paused" {
  default = false
}
variable "event_topic" {
  type    = string
  default = null
}
variable "revision" {
  default = 1
}
variable "mixpanel_secret" {
  type      = string
  default   = null
  ephemeral = true
}

module "ingestion" {
  source = "./project/terraform"

  project_id               = "demo-project"
  region                   = "us-central1"
  name                     = var.name
  event_topic              = var.event_topic
  deletion_protection      = var.protected
  paused                   = var.paused
  transform                = "\${path.root}/transform.ts"
  mixpanel_secret          = var.mixpanel_secret
  mixpanel_secret_revision = var.revision
}

output "pause_commands" {
  value = module.ingestion.pause_commands
}
`;
const TRANSFORM = `import type { Transform } from 'mixpanel-cloud-ingestion/transform';
const transform: Transform = (record) => record;
export default transform;
`;
/** Google's permissions take a minute to be known everywhere; these at once. */
const AT_ONCE = `resource "time_sleep" "apis" {
  create_duration = "0s"
}
resource "time_sleep" "bindings" {
  create_duration = "0s"
}
`;

after(() => rm(home, { recursive: true, force: true }));

const apis = await startApis();
const folder = join(home, 'one');
const reason = apis === undefined ? 'GOOGLE_APIS names no management APIs in memory' : await whyNot();
if (apis === undefined || reason !== undefined) {
  console.log(`Skipped: ${reason}. See the head of test/terraform/apply.ts.`);
  apis?.stop();
} else run(apis);

function run(google: GoogleApis): void {
  after(() => google.stop());

  test('without its secret the first plan is refused', async () => {
    const printed = await refused(['plan']);
    assert.match(printed, /give it as TF_VAR_mixpanel_secret/);
  });

  test('a first apply leaves what a deployment needs, and nothing that may do more', async () => {
    await terraform(['apply', '-auto-approve'], { secret: true });
    assert.deepEqual(google.audit(), []);
    assert.doesNotMatch(await readFile(join(folder, 'terraform.tfstate'), 'utf8'), new RegExp(SECRET));
  });

  test('the plan after it is empty, and needs no secret', () => assertNothingToDo());

  test('after a build that failed the next apply builds again, and the plan after that is empty', async () => {
    await writeFile(join(folder, 'transform.ts'), `${TRANSFORM}// changed\n`);
    failBuilds(true);
    await refused(['apply', '-auto-approve']);
    failBuilds(false);
    assert.equal(google.store.get(FUNCTIONS[0]!).state, 'FAILED');
    const mark = google.log.length;
    await terraform(['apply', '-auto-approve']);
    for (const name of FUNCTIONS) {
      assert.ok(
        google.log.slice(mark).some((call) => call.startsWith(`PATCH cloudfunctions ${name}`)),
        name,
      );
      assert.equal(google.store.get(name).state, 'ACTIVE');
    }
    await assertNothingToDo();
  });

  test('paused, no job runs and nothing is pushed, and the plan after it is empty; resumed likewise', async () => {
    const paused = ['-var=paused=true'];
    await terraform(['apply', '-auto-approve', ...paused]);
    assert.equal(google.store.get(`${REGION}/jobs/mixpanel-drain-1`).state, 'PAUSED');
    assert.equal(pushEndpoint(), undefined);
    await assertNothingToDo(paused);
    await terraform(['apply', '-auto-approve']);
    assert.equal(google.store.get(`${REGION}/jobs/mixpanel-drain-1`).state, 'ENABLED');
    assert.match(pushEndpoint() ?? '', /^https:.*\/projects\/demo-project\/topics\/mixpanel-objects$/);
    await assertNothingToDo();
    assert.deepEqual(google.audit(), []);
  });

  test('another secret needs the secret, is a new version, and the old one is disabled', async () => {
    const raised = ['-var=revision=2'];
    assert.match(await refused(['plan', ...raised]), /give it as TF_VAR_mixpanel_secret/);
    const mark = google.log.length;
    await terraform(['apply', '-auto-approve', ...raised], { secret: true });
    const calls = google.log.slice(mark);
    assert.ok(
      calls.some((call) => call.endsWith(':disable 200')),
      'the old version is disabled',
    );
    assert.ok(!calls.some((call) => call.includes(':destroy')), 'no version is destroyed');
    await assertNothingToDo(raised);
  });

  test('while protected, another name or topic is refused at plan; also together with the end of protection', async () => {
    const mark = google.log.length;
    for (const change of ['-var=name=other', '-var=event_topic=projects/demo-project/topics/theirs']) {
      assert.match(await refused(['plan', '-var=revision=2', change], { secret: true }), /deletion_protection = false/);
      const lifted = ['plan', '-var=revision=2', '-var=protected=false', change];
      assert.match(await refused(lifted, { secret: true }), /deletion_protection = false/);
    }
    assert.deepEqual(google.log.slice(mark).filter(isChange), []);
  });

  test('while protected, a destroy keeps subscriptions and topics, and an apply restores the rest', async () => {
    await refused(['destroy', '-auto-approve', '-var=revision=2']);
    for (const kind of ['topics', 'subscriptions']) {
      for (const name of ['objects', 'events'])
        assert.ok(google.store.has(`projects/demo-project/${kind}/mixpanel-${name}`));
    }
    await terraform(['apply', '-auto-approve', '-var=revision=2'], { secret: true });
    assert.deepEqual(google.audit(), []);
  });

  test('once protection is lifted, another topic means another subscription, and the same environment', async () => {
    google.store.set('projects/demo-project/topics/theirs', { name: 'projects/demo-project/topics/theirs' });
    const lifted = ['-var=revision=2', '-var=protected=false'];
    await terraform(['apply', '-auto-approve', ...lifted]);
    await assertNothingToDo(lifted);
    const theirs = [...lifted, '-var=event_topic=projects/demo-project/topics/theirs'];
    await terraform(['apply', '-auto-approve', ...theirs]);
    const subscription = 'projects/demo-project/subscriptions/mixpanel-events';
    assert.equal(google.store.get(subscription).topic, 'projects/demo-project/topics/theirs');
    assert.deepEqual(google.audit(), []);
    await assertNothingToDo(theirs);
    await terraform(['destroy', '-auto-approve', ...theirs]);
    google.store.delete('projects/demo-project/topics/theirs');
    assert.deepEqual(google.left(), { resources: [], bindings: [] });
  });

  test('a saved plan is applied in another checkout, with the archive beside it', async () => {
    await terraform(['plan', '-out=saved.tfplan', '-var=protected=false'], { secret: true });
    const other = join(home, 'two');
    await prepare(other);
    await cp(join(folder, 'saved.tfplan'), join(other, 'saved.tfplan'));
    await cp(join(folder, '.terraform.lock.hcl'), join(other, '.terraform.lock.hcl'));
    const archive = join('.terraform', 'demo-project-mixpanel-source.zip');
    await mkdir(join(other, '.terraform'), { recursive: true });
    await cp(join(folder, archive), join(other, archive));
    await cp(join(folder, 'terraform.tfstate'), join(other, 'terraform.tfstate'));
    await terraform(['init', '-input=false'], {}, other);
    await terraform(['apply', 'saved.tfplan'], { secret: true }, other);
    assert.deepEqual(google.audit(), []);
    await terraform(['destroy', '-auto-approve', '-var=protected=false'], {}, other);
    assert.deepEqual(google.left(), { resources: [], bindings: [] });
  });

  function pushEndpoint(): string | undefined {
    return google.store.get('projects/demo-project/subscriptions/mixpanel-objects').pushConfig?.pushEndpoint;
  }
}

/** Reads and sign-ins change nothing. */
function isChange(call: string): boolean {
  return /^(POST|PUT|PATCH|DELETE)/.test(call) && !/(getIamPolicy|batchEnable|:batchGet)/.test(call);
}

async function assertNothingToDo(vars: string[] = []): Promise<void> {
  await terraform(['plan', '-detailed-exitcode', ...vars]);
}

/** What it printed; fails if Terraform did it. */
async function refused(args: string[], given: { secret?: boolean } = {}): Promise<string> {
  const { code, printed } = await start(args, given, folder);
  assert.equal(code, 1, printed);
  // Lines of a box, and what was broken to fit into it.
  return printed.replaceAll(/\s+/g, ' ');
}

async function terraform(args: string[], given: { secret?: boolean } = {}, cwd = folder): Promise<string> {
  const { code, printed } = await start(args, given, cwd);
  assert.equal(code, 0, `terraform ${args.join(' ')}:\n${printed}`);
  return printed;
}

function start(
  args: string[],
  { secret = false }: { secret?: boolean },
  cwd: string,
): Promise<{ code: number | null; printed: string }> {
  const [command, ...rest] = args as [string, ...string[]];
  const input = ['init', 'plan', 'apply', 'destroy'].includes(command) ? ['-input=false'] : [];
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('TF_') || name === 'TF_CLI_CONFIG_FILE');
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; printed: string }>();
  const child = spawn('terraform', [command, '-no-color', ...input, ...rest], {
    cwd,
    env: {
      ...Object.fromEntries(own),
      ...apis?.env,
      CHECKPOINT_DISABLE: 'true',
      TF_IN_AUTOMATION: 'true',
      ...(secret ? { TF_VAR_mixpanel_secret: SECRET } : {}),
    },
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (printed += data));
  child.on('error', reject);
  child.on('exit', (code) => resolve({ code, printed }));
  return promise;
}

/** Makes builds of functions fail, or end well. */
function failBuilds(fail: boolean): void {
  Object.assign(globalThis, { FAIL_BUILD: fail });
}

async function startApis(): Promise<GoogleApis | undefined> {
  const path = process.env.GOOGLE_APIS;
  if (path === undefined) return undefined;
  const { startGoogleApis } = await import(pathToFileURL(resolve(path)).href);
  return startGoogleApis();
}

/** Why nothing can be applied here; undefined if it can. */
async function whyNot(): Promise<string | undefined> {
  await prepare(folder);
  try {
    const { code, printed } = await start(['init'], {}, folder);
    if (code !== 0)
      return `the providers are not to be had (${/Error: .*/.exec(printed)?.[0] ?? 'terraform init failed'})`;
    const plan = await start(['plan'], { secret: true }, folder);
    return /only knows the schema/.test(plan.printed) ? 'the providers know the schemas alone' : undefined;
  } catch {
    return 'Terraform is missing';
  }
}

/** A configuration as a team has it, with the project as a checkout beside it. */
async function prepare(to: string): Promise<void> {
  const project = join(to, 'project');
  const own = /(^|\/)(\.terraform(\.lock\.hcl)?|examples|tests|[^/]*\.(tfvars|tfstate|tfstate\.backup|tfplan))$/;
  await mkdir(project, { recursive: true });
  for (const name of ['functions', 'package.json', 'package-lock.json', 'tsconfig.json', 'terraform']) {
    await cp(join(root, name), join(project, name), { recursive: true, filter: (path) => !own.test(path) });
  }
  await writeFile(join(project, 'terraform', 'at_once_override.tf'), AT_ONCE);
  await writeFile(join(to, 'main.tf'), MAIN);
  await writeFile(join(to, 'transform.ts'), TRANSFORM);
}
