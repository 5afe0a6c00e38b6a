/**
 * Loaded before the functions framework by `node --import`. The framework listens on all interfaces and has no option for
 * that, as a container needs it so. Here its server listens on loopback, behind the guard of all local servers.
 */

import { Server } from 'node:http';
import { guardServer, LOOPBACK } from './guard.ts';

const listen = Server.prototype.listen as (this: Server, options: object, listening?: () => void) => Server;

Server.prototype.listen = function (this: Server, port: number, listening?: () => void) {
  guardServer(this);
  return listen.call(this, { port, host: LOOPBACK }, listening);
} as typeof Server.prototype.listen;
