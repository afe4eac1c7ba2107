// What a resource is: an API we protect (RFC 8707), with its scopes in human words and the form of its access tokens.

export const RISKS = ['low', 'normal', 'high'] as const
export type Risk = (typeof RISKS)[number]

export const TOKEN_FORMATS = ['jwt', 'opaque'] as const
export type TokenFormat = (typeof TOKEN_FORMATS)[number]

export const SIGN_ALGORITHMS = ['ES256', 'RS256'] as const
export type SignAlgorithm = (typeof SIGN_ALGORITHMS)[number]

export interface ResourceScope {
  readonly name: string
  /** the words on the consent page */
  readonly text: string
  readonly risk: Risk
  /** given when a request for this resource names no scope */
  readonly byDefault: boolean
}

export interface Resource {
  /** absolute URI without fragment: the resource indicator and the audience of its tokens */
  readonly id: string
  readonly name: string
  readonly format: TokenFormat
  /** algorithm of JWT access tokens; kept, but unused, for opaque ones */
  readonly sign: SignAlgorithm
  /** life of its access tokens, in seconds */
  readonly lifetime: number
  readonly scopes: readonly ResourceScope[]
}
