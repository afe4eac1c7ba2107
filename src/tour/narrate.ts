// Tells a story step by step: what happens, the same as a curl command, and what came back. Kept as data, too, for programs.

export interface TourStep {
  readonly title: string
  /** shell commands that do the same; later ones use variables that earlier ones set */
  readonly shell: readonly string[]
  readonly status?: number
  /** what is worth seeing of the answer */
  readonly answer: string
  readonly ok: boolean
}

export interface TourReport {
  readonly ok: boolean
  readonly steps: readonly TourStep[]
}

export interface Narrator {
  /** Tells one step, and remembers it. */
  step(step: Omit<TourStep, 'ok'> & { ok?: boolean }): void
  report(): TourReport
}

/** @param say takes each line, at most about 100 columns wide apart from commands */
export function createNarrator(say: (line: string) => void): Narrator {
  const steps: TourStep[] = []
  return {
    step({ ok = true, ...told }) {
      steps.push({ ...told, ok })
      say('')
      say(`${String(steps.length).padStart(2)}. ${told.title}`)
      for (const line of told.shell) say(`    $ ${line}`)
      for (const line of told.answer.split('\n')) say(`    ${line}`)
      if (!ok) say('    This is not what should have happened.')
    },
    report: () => ({ ok: steps.every(({ ok }) => ok), steps }),
  }
}

/** @returns a shell pipeline that takes one text member out of a JSON answer, without a JSON tool */
export function pick(member: string): string {
  return `sed -n 's/.*"${member}":"\\([^"]*\\)".*/\\1/p'`
}

/** @returns the beginning of a long value; the whole of it is in the shell's variable */
export function shorten(value: string, length = 24): string {
  return value.length > length ? `${value.slice(0, length)}…` : value
}
