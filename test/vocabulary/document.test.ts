import { z } from 'zod'
import { formatPath, readFields } from '../../src/vocabulary/document.ts'

const shape = {
  id: z.string('must be text'),
  tags: z.array(z.string('must be text'), 'must be a list').optional(),
}

describe('readFields', () => {
  it('tells every fault at once and keeps what is right', () => {
    const { parts, faults } = readFields(shape, { tags: ['a', 1, 2], tgas: [], constructor: 1 }, 'a thing')
    expect(parts).toEqual({})
    expect(faults.map(({ path, text }) => `${formatPath(path)} ${text}`)).toEqual([
      'tgas is not a field of a thing; did you mean tags?',
      'constructor is not a field of a thing',
      'id is missing',
      'tags[1] must be text',
      'tags[2] must be text',
    ])
    expect(readFields(shape, { id: 'x', tags: 5 }, 'a thing').parts).toEqual({ id: 'x' })
  })

  it('takes a field without a value as absent', () => {
    expect(readFields(shape, { id: 'x', tags: null }, 'a thing')).toEqual({ parts: { id: 'x' }, faults: [] })
    expect(readFields(shape, { id: null }, 'a thing').faults).toEqual([{ path: ['id'], text: 'is missing' }])
  })

  it.each([null, undefined, 'text', 5, []])('refuses %j as a whole', (value) => {
    expect(readFields(shape, value, 'a thing').faults).toEqual([
      { path: [], text: expect.stringMatching(/^must be a thing/) },
    ])
  })

  it('does not take fields from a prototype', () => {
    expect(readFields(shape, Object.create({ id: 'inherited' }), 'a thing').faults).toEqual([
      { path: ['id'], text: 'is missing' },
    ])
  })

  it('writes paths as people do', () => {
    expect(formatPath(['clients', 1, 'scopes', 'https://a.example', 0])).toBe(
      'clients[1].scopes["https://a.example"][0]',
    )
  })
})
