import { decide, type Facts } from '../../src/vocabulary/decision.ts'
import { REASONS } from '../../src/vocabulary/verdict.ts'

const active: Facts = { active: true, scopes: ['orders:read', 'items:read'], audience: 'https://orders.example.com' }
const missing: Facts = { active: false, reason: 'missing', scopes: [] }

describe('decide', () => {
  it.each([
    ['all scopes there', active, { required: ['orders:read', 'items:read'] }, { outcome: 'allow' }],
    ['no scope needed', active, { required: [] }, { outcome: 'allow' }],
    [
      'one scope missing',
      active,
      { required: ['orders:read', 'orders:write'] },
      { outcome: 403, reason: 'scope-missing', detail: 'orders:write' },
    ],
    ['no rule', active, { required: undefined }, { outcome: 403, reason: 'no-route-rule' }],
    ['no credential', missing, { required: [] }, { outcome: 401, reason: 'missing' }],
    ['no credential and no rule', missing, { required: undefined }, { outcome: 401, reason: 'missing' }],
    ['no credential, public', missing, { required: 'public' as const }, { outcome: 'allow' }],
    [
      'inactive without a reason',
      { active: false, scopes: ['orders:read'] },
      { required: [] },
      { outcome: 401, reason: 'inactive' },
    ],
    ['the audience asked for', active, { required: [], audience: 'https://orders.example.com' }, { outcome: 'allow' }],
    [
      'another audience',
      active,
      { required: [], audience: 'https://billing.example.com' },
      { outcome: 401, reason: 'wrong-audience' },
    ],
    [
      'no audience known',
      { ...active, audience: undefined },
      { required: [], audience: 'x' },
      { outcome: 401, reason: 'wrong-audience' },
    ],
    [
      'bound, proof not checked',
      { ...active, cnf: { jkt: 'x' } },
      { required: [] },
      { outcome: 401, reason: 'proof-missing' },
    ],
    ['bound, with a broken cnf', { ...active, cnf: null }, { required: [] }, { outcome: 401, reason: 'proof-missing' }],
  ])('%s', (_, facts, call, decision) => {
    expect(decide(facts, call)).toEqual(decision)
  })

  it('never allows an inactive credential on a guarded route, whatever the reason', () => {
    for (const reason of REASONS) {
      const decision = decide({ ...active, active: false, reason }, { required: [] })
      expect(decision).toEqual({ outcome: expect.any(Number), reason })
      expect([401, 403]).toContain(decision.outcome)
    }
  })
})
