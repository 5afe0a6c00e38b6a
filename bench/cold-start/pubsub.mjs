// The least that a function for a drain can be: it imports Google's client and answers.

import { http } from '@google-cloud/functions-framework';
import { v1 } from '@google-cloud/pubsub';

new v1.SubscriberClient({ projectId: 'bench' });
http('drainSubscription', (_request, response) => response.send('drained'));
