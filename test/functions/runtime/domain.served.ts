/** A function that leaves the framework's domain, and tells where it is then, or throws where nobody awaits it. */

import { setImmediate } from 'node:timers/promises';
import { http } from '@google-cloud/functions-framework';
import { leaveDomain } from '../../../functions/runtime/domain.ts';

http('importObject', async (request, response) => {
  const before = domain();
  leaveDomain();
  const after = domain();
  if (request.path === '/throw') setTimeout(() => fail());
  await setImmediate();
  if (request.path !== '/throw') response.json({ before, after, later: domain() });
});

function domain(): boolean {
  return (process as { domain?: object | null }).domain != null;
}

function fail(): never {
  throw new Error('thrown where nobody awaits it');
}
