// What some experiments need of the machine. The bench names it and installs nothing.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, globSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const NEEDS = {
  haproxy: { isMet: () => findProgram('haproxy') !== undefined, how: 'apt-get install haproxy' },
  nginx: { isMet: () => findProgram('nginx') !== undefined, how: 'apt-get install nginx' },
  openssl: { isMet: () => findProgram('openssl') !== undefined, how: 'apt-get install openssl' },
  faketime: { isMet: () => libfaketime() !== undefined, how: 'apt-get install faketime' },
  mount: { isMet: canMount, how: 'run it as root, where file systems may be mounted' },
  root: { isMet: () => process.getuid?.() === 0, how: 'run it as root' },
  linux: { isMet: () => process.platform === 'linux', how: 'run it on Linux' },
} as const

export type Need = keyof typeof NEEDS

/** @returns `needs haproxy (apt-get install haproxy)`, or undefined when nothing is missing */
export function describeMissing(needs: readonly Need[] = []): string | undefined {
  const missing = needs.filter((need) => !NEEDS[need].isMet())
  if (missing.length === 0) return undefined
  return `needs ${missing.map((need) => `${need} (${NEEDS[need].how})`).join(', ')}`
}

/** @returns path of the library that turns a process's clock, for LD_PRELOAD */
export function libfaketime(): string | undefined {
  return globSync('/usr/lib/*/faketime/libfaketime.so.1')[0]
}

/** A container's root may not. */
function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-mount-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', folder]).status === 0
  if (mounted) spawnSync('umount', [folder])
  rmdirSync(folder)
  return mounted
}

/** @returns the path of a program, also where only root looks for it */
export function findProgram(name: string): string | undefined {
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin`.split(delimiter)
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
