// A command of Gatehouse as a process that can be killed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { cleanEnv } from '../test/helpers/process.ts'

const MAIN = join(import.meta.dirname, '../src/main.ts')

export interface RunningCommand {
  readonly child: ChildProcess
  /** what it answered with --json @throws with what it said when it ended otherwise than with 0 */
  readonly answer: Promise<Record<string, unknown>>
}

/** Runs `gatehouse … --json`. @param input what it reads from standard input */
export function runCommand(env: Record<string, string>, args: readonly string[], input = ''): RunningCommand {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args, '--json'], {
    env: cleanEnv(env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const answer = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]).then(
    ([said, complained, [code]]) => {
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${complained}`)
      return JSON.parse(said) as Record<string, unknown>
    },
  )
  answer.catch(() => undefined)
  return { child, answer }
}
