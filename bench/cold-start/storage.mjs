// The least that a function for a file can be: it imports Google's client and answers.

import { cloudEvent } from '@google-cloud/functions-framework';
import { Storage } from '@google-cloud/storage';

new Storage();
cloudEvent('importObject', async (_event) => {});
