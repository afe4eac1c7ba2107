import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { processOutput } from '../../src/cli/output.ts'

function createProcess() {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  const stdout = new PassThrough()
  const stderr = Object.assign(new PassThrough(), { isTTY: true })
  return { stdin, stdout, stderr, output: processOutput({ stdin, stdout, stderr } as unknown as NodeJS.Process) }
}

describe('a terminal', () => {
  it('asks on stderr and keeps stdout for the answer', async () => {
    const { stdin, stdout, stderr, output } = createProcess()
    stdin.write('y\n')
    expect(await output.ask('Remove it? ')).toBe('y')
    stdout.end()
    stderr.end()
    expect([await text(stdout), await text(stderr)]).toEqual(['', 'Remove it? '])
  })

  it('does not show a hidden answer', async () => {
    const { stdin, stdout, stderr, output } = createProcess()
    stdin.write('hunter2\n')
    expect(await output.ask('New password: ', true)).toBe('hunter2')
    stdout.end()
    stderr.end()
    expect([await text(stdout), await text(stderr)]).toEqual(['', 'New password: \n'])
  })

  it('takes the end of input for no answer', async () => {
    const { stdin, output } = createProcess()
    stdin.end()
    expect(await output.ask('Remove it? ')).toBe('')
  })

  it('is none when input or errors go elsewhere', () => {
    const { stdin, stdout, stderr, output } = createProcess()
    expect(output.isTerminal).toBe(true)
    const piped = processOutput({ stdin, stdout, stderr: new PassThrough() } as unknown as NodeJS.Process)
    expect(piped.isTerminal).toBe(false)
    stderr.end()
  })
})
