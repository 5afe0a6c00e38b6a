import { describe } from 'node:test';
import { startTestCloud } from '../support/serving.ts';
import { testImportObject } from './import-object.cases.ts';

describe('importObject, served by the functions framework', () => testImportObject((env) => startTestCloud({ env })));
