// Scopes whose meaning OpenID Connect Core sections 5.4 and 11 fix: no resource may give them another one.

export const RESERVED_SCOPES: readonly string[] = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access']
