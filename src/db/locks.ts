// In which order locks are taken, rows included, and the advisory locks of which a database has one each. Who goes another way
// meets somebody half-way some day, and after a second PostgreSQL rolls one of the two back.
//
//   LOCKS, as they are listed
//   account → its links → interactions in which it has signed in
//   another interaction → session, by its uid → consent, by account and client
//   client → its secrets → the row of a consent
//   grant → codes → refresh families → access tokens
//
// An account that is held FOR KEY SHARE, as for a grant, may come as late as just before the client: of what stands between
// them, who ends an account goes on to sign-ins only. Whoever takes several of a kind has what they have in common: LOCKS.many
// for accounts and clients (a document comes to clients first), the session or the consent for grants. An ending is noted
// beside what ends. Who sweeps skips what others hold, or gives up soon. A turn (`in-turn.ts`) comes before its row, and before
// the account of that; PostgreSQL does not see who waits for one.

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
