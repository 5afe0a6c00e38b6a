/** The version of this package, as package.json says. */
export const VERSION = '1.0.0';
