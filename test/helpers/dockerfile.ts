// Carries out a Dockerfile in plain folders: one folder per stage, RUN in a real shell, COPY with real files. Whatever is about
// accounts of the system (groupadd, useradd, chown) is only written down. It knows the few instructions that ours has.
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { cleanEnv } from './process.ts'

export interface Instruction {
  readonly name: string
  /** the rest of the line, continuation lines joined */
  readonly rest: string
}

export interface BuiltImage {
  /** where the last stage's file system is */
  readonly root: string
  /** absolute path of the working folder, in `root` */
  readonly workdir: string
  readonly env: Readonly<Record<string, string>>
  /** argv of a container */
  readonly command: readonly string[]
  readonly user?: string
  readonly healthcheck?: readonly string[]
  readonly stopSignal?: string
  /** what would have been done to accounts and owners, a command a line */
  readonly accounts: string
}

const ONLY_WRITTEN_DOWN = ['groupadd', 'useradd', 'chown']

/** @returns the instructions of a Dockerfile; comments and empty lines left out */
export function readDockerfile(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#') && line.trim() !== '')
  return lines
    .join('\n')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => /^(\w+)\s+(.*)$/.exec(line))
    .map((match) => ({ name: match![1]!, rest: match![2]!.trim() }))
}

/**
 * @param context the folder that COPY takes from
 * @param target an empty folder
 * @throws Error at the first step that fails, with what it said
 */
export async function buildImage(instructions: readonly Instruction[], context: string, target: string) {
  const bin = await makeStandIns(target)
  const stages = new Map<string, string>()
  let image = newStage(target, stages.size)
  for (const { name, rest } of instructions) {
    if (name === 'FROM') {
      image = newStage(target, stages.size)
      stages.set(/ AS (\S+)$/.exec(rest)?.[1] ?? `stage ${stages.size}`, image.root)
    } else if (name === 'WORKDIR') {
      image = { ...image, workdir: join(image.root, rest) }
      await mkdir(image.workdir, { recursive: true })
    } else if (name === 'COPY') await copy(rest, image, context, stages)
    else if (name === 'RUN') await run(rest, image.workdir, bin)
    else if (name === 'ENV') image = { ...image, env: { ...image.env, ...readPairs(rest) } }
    else if (name === 'USER') image = { ...image, user: rest }
    else if (name === 'HEALTHCHECK')
      image = { ...image, healthcheck: JSON.parse(rest.slice(rest.indexOf(' CMD ') + 5)) }
    else if (name === 'STOPSIGNAL') image = { ...image, stopSignal: rest }
    else if (name === 'ENTRYPOINT' || name === 'CMD')
      image = { ...image, command: [...image.command, ...JSON.parse(rest)] }
    else if (name !== 'EXPOSE') throw new Error(`this Dockerfile reader does not know ${name}`)
  }
  return { ...image, accounts: await readFile(join(bin, 'accounts.txt'), 'utf8') }
}

function newStage(target: string, number: number): Omit<BuiltImage, 'accounts'> {
  const root = join(target, `stage-${number}`)
  return { root, workdir: root, env: {}, command: [] }
}

async function copy(
  rest: string,
  { workdir }: { workdir: string },
  context: string,
  stages: ReadonlyMap<string, string>,
) {
  const words = rest.split(/\s+/)
  const stage = words[0]!.startsWith('--from=') ? stages.get(words.shift()!.slice('--from='.length)) : undefined
  const to = words.pop()!
  for (const word of words) {
    const from = stage ? join(stage, word) : join(context, word)
    const path = to.endsWith('/') ? join(resolve(workdir, to), basename(word)) : resolve(workdir, to)
    await mkdir(dirname(path), { recursive: true })
    await cp(from, path, { recursive: true, verbatimSymlinks: true })
  }
}

async function run(script: string, workdir: string, bin: string): Promise<void> {
  await mkdir(workdir, { recursive: true })
  const env = withoutOuterNpm(cleanEnv({ PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}` }))
  // What npm ci has just installed is in npm's cache: nothing needs to be fetched once more.
  await promisify(execFile)('sh', ['-ec', script], {
    cwd: workdir,
    env: { ...env, npm_config_prefer_offline: 'true' },
    maxBuffer: 10_000_000,
  })
}

/** @returns a folder of commands that write down how they were called */
async function makeStandIns(target: string): Promise<string> {
  const bin = join(target, 'stand-ins')
  await mkdir(bin)
  await writeFile(join(bin, 'accounts.txt'), '')
  for (const name of ONLY_WRITTEN_DOWN) {
    await writeFile(join(bin, name), `#!/bin/sh\necho "${name} $*" >> '${join(bin, 'accounts.txt')}'\n`)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}

/** `npm test` tells its children about itself; another npm in another folder must not listen. */
export function withoutOuterNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const outer =
    /^(npm_(lifecycle|package|command|execpath|node_execpath)|npm_config_(local_prefix|prefix|global_prefix|omit|include)|INIT_CWD)/
  return Object.fromEntries(Object.entries(env).filter(([name]) => !outer.test(name)))
}

function readPairs(rest: string): Record<string, string> {
  return Object.fromEntries(rest.split(/\s+/).map((pair) => [pair.split('=')[0]!, pair.slice(pair.indexOf('=') + 1)]))
}
