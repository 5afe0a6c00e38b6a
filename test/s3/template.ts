/** What a template's resources are with given parameters: moto ignores some kinds of resources, and judges no policy. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ACCOUNT, REGION } from './aws.ts';

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
type Resources = Record<string, { Type: string; Properties: Record<string, unknown> }>;

const PSEUDO_PARAMETERS = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::StackName': 'shop',
};
/** What `AWS::NoValue` takes away. */
const NOTHING = Symbol('nothing');

/** A template with its functions in their long form. */
export interface Template {
  Parameters: Record<string, { Default: string }>;
  Conditions: Record<string, Json>;
  Resources: Record<string, { Condition?: string } & Record<string, Json>>;
}

/** @param tools the folder that has cfn-lint, which reads the template */
export async function loadTemplate(tools: string, path: string): Promise<Template> {
  const code = 'import sys, json, cfnlint.decode.cfn_yaml as y; print(json.dumps(y.load(sys.argv[1])))';
  const { stdout } = await promisify(execFile)(join(tools, 'python'), ['-c', code, path]);
  return JSON.parse(stdout);
}

/**
 * @returns the resources that the stack would have; an attribute of another resource reads `<NAME.ATTRIBUTE>`, a
 *   reference to one `<NAME>`
 */
export function resolveTemplate(
  { Parameters, Conditions, Resources }: Template,
  parameters: Record<string, string>,
): Resources {
  const values: Record<string, string> = { ...PSEUDO_PARAMETERS };
  for (const name of Object.keys(Parameters)) values[name] = parameters[name] ?? Parameters[name]!.Default;

  const isTrue = (name: string): boolean => resolve(Conditions[name]!) === true;
  const refer = (name: string) => (name === 'AWS::NoValue' ? NOTHING : (values[name] ?? `<${name}>`));

  function resolve(value: Json): unknown {
    if (Array.isArray(value)) return value.map(resolve).filter((item) => item !== NOTHING);
    if (typeof value !== 'object' || value === null) return value;
    const [[name, given] = ['', null], ...others] = Object.entries(value);
    if (others.length === 0) {
      if (name === 'Ref') return refer(given as string);
      if (name === 'Fn::GetAtt') return `<${(given as string[]).join('.')}>`;
      if (name === 'Fn::Sub') return (given as string).replaceAll(/\$\{([^}]+)\}/g, (_, ref) => String(refer(ref)));
      if (name === 'Fn::Not') return !resolve((given as Json[])[0]!);
      if (name === 'Fn::Equals') return resolve((given as Json[])[0]!) === resolve((given as Json[])[1]!);
      if (name === 'Fn::If') {
        const [condition, yes, no] = given as [string, Json, Json];
        return resolve(isTrue(condition) ? yes : no);
      }
    }
    const entries = Object.entries(value).map(([key, item]) => [key, resolve(item)] as const);
    return Object.fromEntries(entries.filter(([, item]) => item !== NOTHING));
  }

  const kept = Object.entries(Resources).filter(([, { Condition }]) => Condition === undefined || isTrue(Condition));
  return Object.fromEntries(kept.map(([name, resource]) => [name, resolve(resource)])) as Resources;
}
