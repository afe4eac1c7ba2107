// Lengths of time as people write them: 90s, 10m, 12h, 30d.

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const SHAPE = /^([1-9]\d{0,8})([smhd])$/

/** @returns whole seconds, or undefined where `text` is not a number and one of s, m, h, d */
export function parseDuration(text: string): number | undefined {
  const match = SHAPE.exec(text)
  return match ? Number(match[1]) * (SECONDS[match[2] as string] as number) : undefined
}

/** @returns `seconds` in the largest unit that divides it: 600 is `10m`, 90 is `90s` */
export function formatDuration(seconds: number): string {
  const unit = ['d', 'h', 'm'].find((name) => seconds % (SECONDS[name] as number) === 0) ?? 's'
  return `${seconds / (SECONDS[unit] as number)}${unit}`
}
