/** `npm run test:s3`: Amazon S3 as a source, with AWS as moto serves it. */

import { testChain } from './chain.cases.ts';
import { testTemplate } from './template.cases.ts';
import { testTerminal } from './terminal.cases.ts';
import { findTools } from './tools.ts';

// Whatever ends this process ends those that it started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

const tools = await findTools();

testTemplate(tools);
testChain(tools);
testTerminal(tools);
