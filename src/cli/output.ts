// What a command writes to and reads from: the terminal, a pipe, or a test.
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

export interface Output {
  out(text: string): void
  err(text: string): void
  /** whether a person can be asked */
  readonly isTerminal: boolean
  /** Asks on stderr, so that stdout stays the answer. @param hidden what is typed is not shown @returns '' after Ctrl-C */
  ask(question: string, hidden?: boolean): Promise<string>
  /** @returns standard input to its end */
  readInput(): Promise<string>
}

/** @returns the output of this process */
export function processOutput({ stdin, stdout, stderr }: NodeJS.Process = process): Output {
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    isTerminal: stdin.isTTY === true && stderr.isTTY === true,

    async ask(question, hidden = false) {
      stderr.write(question)
      const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
      const reader = createInterface({ input: stdin, output: hidden ? nowhere : stderr, terminal: hidden })
      const ended = new Promise<string>((resolve) => reader.once('close', () => resolve('')))
      // Ctrl-C is no answer, so that the command ends in good order. At a hidden prompt readline gets it, else the process.
      const giveUp = () => reader.close()
      reader.once('SIGINT', giveUp)
      process.once('SIGINT', giveUp)
      try {
        return await Promise.race([reader.question(''), ended])
      } finally {
        process.off('SIGINT', giveUp)
        reader.close()
        if (hidden) stderr.write('\n')
      }
    },

    readInput: () => text(stdin),
  }
}
