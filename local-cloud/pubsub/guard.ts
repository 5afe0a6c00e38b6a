/** The guard of all local servers, for calls of gRPC: a call that must be refused ends with PERMISSION_DENIED. */

import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { refusalOf } from '../guard.ts';

/** Refuses calls that are for another host, or that a page of another origin sends. */
export const guardCalls: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start(next) {
      next({
        onReceiveMetadata(metadata, accept) {
          const refusal = refusalOf({ host: call.getHost(), origin: metadata.get('origin')[0]?.toString() });
          if (refusal === undefined) accept(metadata);
          else call.sendStatus({ code: status.PERMISSION_DENIED, details: refusal });
        },
      });
    },
  });
