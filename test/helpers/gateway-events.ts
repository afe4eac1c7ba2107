// Authorizer events with the field sets that API Gateway sends, written down apart from our own gateway.

const STAGE = 'arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod'

export interface EventParts {
  readonly method?: string
  readonly path?: string
  readonly template?: string
  /** whole value; undefined leaves the header out */
  readonly authorization?: string
}

/** A REST API's REQUEST event. */
export function restEvent({ method = 'GET', path = '/orders', template = path, authorization }: EventParts = {}) {
  const headers = {
    Accept: '*/*',
    Host: 'a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com',
    'X-Forwarded-For': '192.0.2.7',
  }
  const all = authorization === undefined ? headers : { ...headers, Authorization: authorization }
  return {
    type: 'REQUEST',
    methodArn: `${STAGE}/${method}${path}`,
    resource: template,
    path,
    httpMethod: method,
    headers: all as Record<string, string>,
    multiValueHeaders: Object.fromEntries(Object.entries(all).map(([k, v]) => [k, [v]])) as Record<string, string[]>,
    queryStringParameters: {},
    multiValueQueryStringParameters: {},
    pathParameters: {},
    stageVariables: {},
    requestContext: {
      resourceId: '123456',
      resourcePath: template,
      httpMethod: method,
      extendedRequestId: 'JKJaXmPLvHcESHA=',
      requestTime: '10/Mar/2026:00:03:59 +0000',
      requestTimeEpoch: 1773100000000,
      path: `/prod${path}`,
      accountId: '123456789012',
      protocol: 'HTTP/1.1',
      stage: 'prod',
      domainPrefix: 'a1b2c3d4e5',
      domainName: 'a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com',
      requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
      deploymentId: 'dep123',
      apiId: 'a1b2c3d4e5',
      identity: { sourceIp: '192.0.2.7', userAgent: 'curl/8' },
    },
  }
}

/** An HTTP API's event of format 2.0. */
export function httpEvent({ method = 'GET', path = '/orders', template = path, authorization }: EventParts = {}) {
  return {
    version: '2.0',
    type: 'REQUEST',
    routeArn: `${STAGE.replace('prod', '$default')}/${method}${path}`,
    identitySource: authorization === undefined ? [] : [authorization],
    routeKey: `${method} ${template}`,
    rawPath: path,
    rawQueryString: '',
    cookies: [],
    headers: { accept: '*/*', ...(authorization !== undefined && { authorization }) } as Record<string, string>,
    queryStringParameters: {},
    pathParameters: {},
    stageVariables: {},
    requestContext: {
      accountId: '123456789012',
      apiId: 'a1b2c3d4e5',
      domainName: 'a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com',
      domainPrefix: 'a1b2c3d4e5',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.7', userAgent: 'curl/8' },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: `${method} ${template}`,
      stage: '$default',
      time: '10/Mar/2026:00:03:59 +0000',
      timeEpoch: 1773100000000,
    },
  }
}
