import { didYouMean, nearest } from '../../src/vocabulary/nearest.ts'

const FIELDS = ['id', 'name', 'kind', 'redirect_uris', 'refresh']

describe('nearest', () => {
  it.each([
    ['redirect_uri', 'redirect_uris'],
    ['Name', 'name'],
    ['knid', 'kind'],
    ['refersh', 'refresh'],
  ])('finds for %s: %s', (wrong, right) => {
    expect(nearest(wrong, FIELDS)).toBe(right)
  })

  it('suggests nothing that is far away', () => {
    expect(nearest('password', FIELDS)).toBeUndefined()
    expect(didYouMean('password', FIELDS)).toBe('')
    expect(didYouMean('kid', FIELDS)).toMatch(/did you mean (kind|id)\?/)
  })
})
