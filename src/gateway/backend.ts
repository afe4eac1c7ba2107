// The API behind the gateway, as a function: what an integration hands it, and what it gives back.

export interface BackendRequest {
  readonly method: string
  /** template of the route: `/orders/{id}` */
  readonly route: string
  /** percent-encoded, as sent */
  readonly path: string
  readonly parameters: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** lower-case names */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** what the authorizer says of the caller; empty on a public route */
  readonly authorizer: Readonly<Record<string, unknown>>
}

export interface BackendResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export type Backend = (request: BackendRequest) => Promise<BackendResponse>
