/** Where the benchmark keeps what it makes; git ignores all of it. */

import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The folder of the project. */
export const PROJECT = ROOT;
/** This folder. */
export const BENCH = `${ROOT}bench/`;
/** Inputs, compiled sources, objects of the local storage server. */
export const WORK = `${ROOT}.local/bench/`;
/** The functions as they are deployed, and our contenders, compiled. */
export const BUILD = `${WORK}build/`;
