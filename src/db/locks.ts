// The advisory locks of which a database has one each. Rows and names have others, by their hash.

/** Numbers are arbitrary constants of ours, which other versions of us know, too: they stay what they are. */
export const LOCKS = {
  /** nodes that start at once make one key ring, and its changes follow one another */
  ring: 7_142_001,
  /** signing keys take one step at a time; who needs the ring's lock, too, takes that one first */
  signingKeys: 7_142_002,
  /** who changes many accounts or clients, as a document does that is applied, does it alone */
  many: 7_142_003,
  /** an administrator is made by link one at a time */
  adminSetup: 7_142_004,
  /** one node sweeps at a time, the others pass */
  sweep: 7_142_005,
} as const
