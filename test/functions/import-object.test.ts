import { describe } from 'node:test';
import { testImportObject } from './import-object.cases.ts';
import { startTestCloud } from './serving.ts';

describe('importObject, served by the functions framework', () => testImportObject((env) => startTestCloud({ env })));
