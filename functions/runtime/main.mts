/**
 * What the functions framework loads. Of a module with this extension it knows that it is an ES module; of any other it
 * searches for a package.json to find out, with a package that takes a seventh of a cold start to load.
 */

import '../index.ts';
