// Runs a command as a terminal would, and keeps what it said.
import type { Output } from '../../src/cli/output.ts'
import { createProgram, type ProgramParts } from '../../src/cli/program.ts'
import type { Rooms } from '../../src/cli/rooms.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  /** stdout as the one JSON document that it must be */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at many shapes
  readonly json: any
}

export interface RunOptions {
  /** standard input; with `answers`, what a person types at each question */
  readonly input?: string
  readonly answers?: readonly string[]
  readonly parts?: Partial<ProgramParts>
}

/** @returns a function that runs one command line over `rooms` */
export function createRun(rooms: Rooms | undefined) {
  return async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const said = { out: [] as string[], err: [] as string[] }
    const answers = [...(options.answers ?? [])]
    const output: Output = {
      out: (text) => void said.out.push(text),
      err: (text) => void said.err.push(text),
      isTerminal: options.answers !== undefined,
      async ask(question) {
        said.err.push(question)
        return answers.shift() ?? ''
      },
      readInput: async () => options.input ?? '',
    }
    const unexpected = () => Promise.reject(new Error('must not be called'))
    const program = createProgram({
      version: '1.2.3',
      output,
      withRooms: (command) => (rooms ? command(rooms) : unexpected()),
      start: unexpected,
      migrate: unexpected,
      withRekey: unexpected,
      status: unexpected,
      tryM2m: unexpected,
      tryLogin: unexpected,
      ...options.parts,
    })
    const code = await program.run(args)
    const out = said.out.join('')
    return {
      code,
      out,
      err: said.err.join(''),
      get json() {
        return JSON.parse(out)
      },
    }
  }
}
