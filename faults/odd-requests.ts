// Requests that no client library would send, and what must come out of each. What stands behind one of them on the connection is
// a good request for a token: it counts only where the one ahead has an end that nobody can doubt.
export interface OddRequest {
  readonly name: string
  readonly bytes: string
  /** the answers that must come, in order, to it and to a good request behind it; each one of these numbers */
  readonly answers: readonly (readonly number[])[]
  /** what a client must be able to do with the connection afterwards */
  readonly afterwards: 'closed' | 'usable'
}

const FORM = 'Content-Type: application/x-www-form-urlencoded'
const REFUSED = [[400, 413, 431]] as const

/**
 * @param host what the issuer is called by
 * @param authorization of a client that may have tokens
 * @param body of a request for one
 */
export function oddRequests({
  host,
  authorization,
  body,
}: {
  host: string
  authorization: string
  body: string
}): OddRequest[] {
  const get = (more: string, path = '/jwks') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`
  const post = (more: string, content = body, path = '/token') =>
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${authorization}\r\n${FORM}\r\n${more}\r\n${content}`
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const good = post(`Content-Length: ${body.length}\r\n`)
  const many = (times: number, line: (index: number) => string) =>
    Array.from({ length: times }, (_, i) => line(i)).join('')
  const wide = 'x'.repeat(64 * 1024)

  const refused: Record<string, string> = {
    '1,000 headers': get(many(1000, (index) => `X-${index}: ${index}\r\n`)),
    '1,000 headers of one letter': get(many(1000, () => 'a:1\r\n')),
    '101 headers': get(many(101, () => 'a:1\r\n')),
    'a cookie of 64 kB': get(`Cookie: gatehouse-session=${wide}\r\n`),
    '1,000 cookies': get(many(1000, (index) => `Cookie: c${index}=${'x'.repeat(60)}\r\n`)),
    'a header name of 64 kB': get(`${wide}: 1\r\n`),
    'an address of 64 kB': get('', `/${wide}`),
    'a length, then chunked': post(`Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`, '0\r\n\r\n'),
    'chunked, then a length': post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'),
    'two lengths': post(`Content-Length: ${body.length}\r\nContent-Length: 3\r\n`),
    'two lengths that agree': post(`Content-Length: ${body.length}\r\nContent-Length: ${body.length}\r\n`),
    'a list of lengths': post(`Content-Length: ${body.length}, ${body.length}\r\n`),
    'a length with a sign': post(`Content-Length: +${body.length}\r\n`),
    'a negative length': post('Content-Length: -1\r\n'),
    'a length in hexadecimal': post(`Content-Length: 0x${body.length.toString(16)}\r\n`),
    'a length that overflows': post('Content-Length: 18446744073709551617\r\n'),
    'an unknown coding': post('Transfer-Encoding: xchunked\r\n', chunks),
    identity: post('Transfer-Encoding: identity\r\n', chunks),
    'chunked, identity': post('Transfer-Encoding: chunked, identity\r\n', chunks),
    'gzip, chunked': post('Transfer-Encoding: gzip, chunked\r\n', chunks),
    'chunked twice': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', chunks),
    'chunked behind a vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', chunks),
    'a blank before the colon': post('Transfer-Encoding : chunked\r\n', chunks),
    'a length and a blank before the colon': post(`Content-Length : ${body.length}\r\n`),
    'chunked in HTTP/1.0': post('Transfer-Encoding: chunked\r\n', chunks).replace('HTTP/1.1', 'HTTP/1.0'),
    'chunks that end in LF': post('Transfer-Encoding: chunked\r\n', chunks.replaceAll('\r\n', '\n')),
    'a chunk extension with LF': post('Transfer-Encoding: chunked\r\n', chunks.replace('\r\n', ';a\n')),
    'a chunk that is longer than told': post('Transfer-Encoding: chunked\r\n', chunks.replace(`${body}\r\n`, body)),
    'a chunk size that is none': post('Transfer-Encoding: chunked\r\n', `zz\r\n${body}\r\n0\r\n\r\n`),
    'a chunk size that overflows': post('Transfer-Encoding: chunked\r\n', `${'f'.repeat(17)}\r\n${body}\r\n0\r\n\r\n`),
    'a chunk extension of 64 kB': post('Transfer-Encoding: chunked\r\n', chunks.replace('\r\n', `;${wide}\r\n`)),
    'a length behind the chunks': post(
      'Transfer-Encoding: chunked\r\n',
      chunks.replace(/\r\n$/, 'Content-Length: 100\r\n\r\n'),
    ),
    'LF for CRLF': `GET /jwks HTTP/1.1\nHost: ${host}\n\n`,
    'one LF': get('X: 1\nY: 2\r\n'),
    'a CR in a value': get('X: 1\rY: 2\r\n'),
    'CR for CRLF': get('X: 1\rY: 2\r'),
    'CRLF LF': `GET /jwks HTTP/1.1\r\nHost: ${host}\r\n\n`,
    NUL: get('X: a\0b\r\n'),
    'two hosts': get('Host: evil.example\r\n'),
    'two hosts that agree': get(`Host: ${host}\r\n`),
    'no host': 'GET /jwks HTTP/1.1\r\n\r\n',
    CONNECT: `CONNECT evil.example:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    'a folded line': get('X: a\r\n b\r\n'),
    'a folded first line': `GET /jwks HTTP/1.1\r\n X: a\r\nHost: ${host}\r\n\r\n`,
    'a folded coding': post('Transfer-Encoding:\r\n chunked\r\n', chunks),
    'a folded length': post(`Content-Length:\r\n ${body.length}\r\n`),
    'another version': `GET /jwks HTTP/1.2\r\nHost: ${host}\r\n\r\n`,
    'HTTP/2 without asking': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a blank in the address': `GET /jw ks HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    'tabs for blanks': `GET\t/jwks\tHTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    'a method in small letters': `get /jwks HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    'no HTTP': 'hello\r\n\r\n',
  }
  const usable: Record<string, readonly [string, ...(readonly number[])[]]> = {
    'another address as target': [`GET http://evil.example/jwks HTTP/1.1\r\nHost: ${host}\r\n\r\n`, [421]],
    'our own address as target': [
      `POST http://${host}/token HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`,
      [421],
    ],
    'a request in a body that is refused': [post(`Content-Length: ${good.length}\r\n`, good, '/jwks'), [405]],
    'a request in a body that nobody expects': [get(`Content-Length: ${good.length}\r\n`) + good, [200]],
    'a request in a body that is read': [post(`Content-Length: ${good.length}\r\n`, good, '/introspect'), [400]],
    'a request in a chunk': [
      post('Transfer-Encoding: chunked\r\n', `${good.length.toString(16)}\r\n${good}\r\n0\r\n\r\n`, '/introspect'),
      [400],
    ],
    'a word behind the chunks': [
      post('Transfer-Encoding: chunked\r\n', chunks.replace(/\r\n$/, 'X: 1\r\n\r\n')),
      [200],
    ],
    'empty lines ahead': [`\r\n\r\n${get('')}`, [200]],
    'a body without a length': [post('', ''), [400]],
  }
  const last: Record<string, readonly [string, number]> = {
    'the connection ends by request': [get('Connection: close\r\n'), 200],
    'HTTP/1.0': [get('').replace('1.1', '1.0'), 200],
    'chunked, answered before it is read': [post('Transfer-Encoding: chunked\r\n', chunks, '/jwks'), 405],
  }
  return [
    ...Object.entries(refused).map(
      ([name, bytes]): OddRequest => ({ name, bytes, answers: REFUSED, afterwards: 'closed' }),
    ),
    ...Object.entries(last).map(
      ([name, [bytes, status]]): OddRequest => ({ name, bytes, answers: [[status]], afterwards: 'closed' }),
    ),
    ...Object.entries(usable).map(
      ([name, [bytes, ...answers]]): OddRequest => ({ name, bytes, answers, afterwards: 'usable' }),
    ),
  ]
}
