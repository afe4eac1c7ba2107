// What an account is: a person who can log in.

export interface Account {
  /** the subject of this person's tokens: `usr_` and 22 base62 characters, never used again */
  readonly id: string
  readonly email: string
  readonly name?: string
  readonly role: 'user' | 'admin'
  /** false until the person has followed the set-password link */
  readonly hasPassword: boolean
  readonly disabledAt?: Date
  readonly createdAt: Date
}
