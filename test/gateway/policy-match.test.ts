import { matchPolicy } from '../../src/gateway/policy-match.ts'

const ARN = 'arn:aws:execute-api:eu-west-1:123456789012:gatehouse0/local/GET/orders/7'
const match = (...Statement: object[]) =>
  matchPolicy({ Version: '2012-10-17', Statement }, { action: 'execute-api:Invoke', arn: ARN })
const allow = (Resource: unknown, Action: unknown = 'execute-api:Invoke') => ({ Effect: 'Allow', Action, Resource })
const deny = (Resource: unknown) => ({ Effect: 'Deny', Action: 'execute-api:Invoke', Resource })

describe('matchPolicy', () => {
  it.each([
    [ARN, 'allow'],
    ['*', 'allow'],
    [ARN.replace('7', '*'), 'allow'],
    [ARN.replace('7', '?'), 'allow'],
    [ARN.replace('7', '??'), 'implicit-deny'],
    [ARN.replace('GET/orders', '*'), 'allow'],
    [ARN.replace('gatehouse0', '*').replace('GET', '*'), 'allow'],
    [ARN.replace('orders', 'o*d*r*'), 'allow'],
    [ARN.replace('GET', 'POST'), 'implicit-deny'],
    [ARN.replace('orders', 'Orders'), 'implicit-deny'],
    [`x${ARN}`, 'implicit-deny'],
    [`${ARN}x`, 'implicit-deny'],
    [`${ARN}*`, 'allow'],
    [ARN.slice(0, -1), 'implicit-deny'],
    [['nothing', ARN], 'allow'],
    [ARN.replaceAll(':', '.'), 'implicit-deny'],
  ])('Allow %j is %s', (resource, verdict) => {
    expect(match(allow(resource))).toBe(verdict)
  })

  it('lets a Deny win wherever it stands', () => {
    expect(match(deny('*'), allow(ARN))).toBe('explicit-deny')
    expect(match(allow(ARN), deny(ARN.replace('7', '*')))).toBe('explicit-deny')
    expect(match(allow(ARN), deny(`${ARN}/secrets`))).toBe('allow')
    expect(match()).toBe('implicit-deny')
  })

  it('compares actions, with wildcards, whatever their case', () => {
    expect(match(allow('*', 'execute-api:*'))).toBe('allow')
    expect(match(allow('*', ['s3:Get*', 'EXECUTE-API:invoke']))).toBe('allow')
    expect(match(allow('*', 's3:*'))).toBe('implicit-deny')
  })

  it('takes a single statement for a list of one', () => {
    const policy = { Version: '2012-10-17', Statement: allow('*') }
    expect(matchPolicy(policy, { action: 'execute-api:Invoke', arn: ARN })).toBe('allow')
  })

  it.each([
    [null],
    ['text'],
    [{}],
    [{ Version: '2030-01-01', Statement: [] }],
    [{ Version: '2012-10-17', Statement: ['x'] }],
    [{ Version: '2012-10-17', Statement: [{ ...allow('*'), Effect: 'allow' }] }],
    [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*' }] }],
    [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Resource: '*' }] }],
    [{ Version: '2012-10-17', Statement: [allow([7])] }],
    [{ Version: '2012-10-17', Statement: [{ ...allow('*'), Condition: {} }] }],
    [{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', NotResource: 'x' }] }],
  ])('throws at what it does not understand: %j', (policy) => {
    expect(() => matchPolicy(policy, { action: 'execute-api:Invoke', arn: ARN })).toThrow(TypeError)
  })

  it('stays fast on a hostile pattern', () => {
    const started = performance.now()
    const pattern = `${'a*'.repeat(200)}b`
    expect(
      matchPolicy(
        { Version: '2012-10-17', Statement: allow(pattern) },
        { action: 'execute-api:Invoke', arn: 'a'.repeat(1600) },
      ),
    ).toBe('implicit-deny')
    expect(performance.now() - started).toBeLessThan(500)
  })
})
