// The apply command, as text and as one JSON document.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SAMPLE } from '../apply/sample.ts'
import { type Commands, eachWithCommands } from './commands.ts'

let run: Commands['run']
let folder: Commands['folder']
let done: Commands['done']
eachWithCommands((commands) => {
  ;({ run, folder, done } = commands)
})

it('applies a file twice, the second time without a change', async () => {
  const path = join(folder, 'gatehouse.yaml')
  await writeFile(path, SAMPLE)
  const first = (await done(['apply', path, '--json'])).json
  expect(first).toMatchObject({
    changed: 5,
    resources: {},
    users: { 'ada@example.com': { set_password_url: expect.any(String) } },
  })
  expect(Object.keys(first.clients)).toEqual(['billing', 'shop', 'orders-api'])
  expect(first).not.toHaveProperty('secrets_file')
  expect((await done(['apply', path, '--json'])).json).toMatchObject({ changed: 0, clients: {}, users: {} })
  expect((await done(['apply', path])).out).toMatch(/nothing was changed\.\n$/)
})

it('reads standard input, and keeps secrets out of the answer when they go to a file', async () => {
  const secrets = join(folder, 'secrets.json')
  const { json, out } = await done(['apply', '-', '--secrets', secrets, '--json'], { input: SAMPLE })
  expect(json).toMatchObject({ changed: 5, clients: {}, users: {}, secrets_file: secrets })
  const content = JSON.parse(await readFile(secrets, 'utf8'))
  expect(out).not.toContain(content.clients.billing.client_secret)
  expect(out).not.toContain('token=')
})

it('tells faults on stderr and prints nothing else', async () => {
  const input = 'clients: [{ id: a, kind: servise }]\nuser: []\n'
  const { code, out, err } = await run(['apply', '-', '--json'], { input })
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(/^The document has 3 faults:\n {2}clients\[0\]\.name \(line 1\) is missing\n/)
  expect(err).toMatch(/^ {2}user \(line 2\) is not a field of the document; did you mean users\?$/m)
  expect(await run(['apply', join(folder, 'nowhere.yaml')])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/cannot be read: ENOENT/),
  })
})
