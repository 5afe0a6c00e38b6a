export const transform = 1;
