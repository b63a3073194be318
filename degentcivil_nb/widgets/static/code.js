// The end of the module that a page loads once; all other scripts stand before it.

export const open = makeHost;
