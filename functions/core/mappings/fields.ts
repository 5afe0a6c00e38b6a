/** The table of fields of a preset, compiled: what several paths begin with is looked up once for a record. */

import { Misfit } from './mapping.ts';
import { type Fields, type Getter, getterOf, isOwnName, type Path } from './path.ts';
import type { PutSlot, Slot } from './slots.ts';

/** A property, and where its value comes from. */
export interface Field {
  slot: Slot;
  /** Where the value is: at a path, or what a function makes of the record. */
  source: Path | Getter;
}

/** Puts the properties of a record. */
export type FieldsPutter = (record: Fields, put: PutSlot) => Misfit | undefined;

/** A field, or fields that are in one object. */
type Step = { slot: Slot; get: Getter } | { key: string; steps: readonly Step[] };

/** Compiles fields. */
export function fieldsPutter(fields: readonly Field[]): FieldsPutter {
  const steps = stepsOf(fields, 0);
  return (record, put) => run(steps, record, put);
}

/** Neighbours whose paths begin alike become one step. */
function stepsOf(fields: readonly Field[], depth: number): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < fields.length; ) {
    const { slot, source } = fields[at]!;
    const key = keyAt(source, depth);
    let end = at + 1;
    if (key === undefined) {
      // A function is handed the record: it is in no group.
      steps.push({ slot, get: typeof source === 'function' ? source : getterOf(source.slice(depth)) });
    } else {
      while (end < fields.length && keyAt(fields[end]!.source, depth) === key) end++;
      steps.push({ key, steps: stepsOf(fields.slice(at, end), depth + 1) });
    }
    at = end;
  }
  return steps;
}

/** The name of an object that a path leads through. */
function keyAt(source: Path | Getter, depth: number): string | undefined {
  const part = typeof source !== 'function' && source.length > depth + 1 ? source[depth] : undefined;
  return typeof part === 'string' && isOwnName(part) ? part : undefined;
}

function run(steps: readonly Step[], object: Fields, put: PutSlot): Misfit | undefined {
  for (const step of steps) {
    if ('steps' in step) {
      const inner = object[step.key];
      if (typeof inner !== 'object' || inner === null) continue;
      const misfit = run(step.steps, inner as Fields, put);
      if (misfit !== undefined) return misfit;
    } else {
      const value = step.get(object);
      if (value instanceof Misfit) return value;
      put(step.slot, value);
    }
  }
  return undefined;
}
