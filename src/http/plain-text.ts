// Text of strangers, made fit to stand in a sentence of ours: an app's name must not turn our words round, hide, or fill the page.

// Controls, format characters (which turn the direction, join or hide text), private use and broken surrogates; not the two
// joiners that Persian, Indic scripts and emoji are written with.
const UNSEEN = /(?![\u200c\u200d])[\p{Cf}\p{Co}\p{Cs}\u115f\u1160\u2800\u3164\uffa0]/gu
const GAPS = /[\p{Cc}\p{Z}]+/gu
// Living scripts stack up to four marks on a letter; more is a way to paint over the lines above.
const HEAPS = /(\p{M}{4})\p{M}+/gu
const NO_INK = /^[\p{M}\s\u200c\u200d]*$/u

/**
 * @param text anything a stranger supplied
 * @param most longest answer in code points; what is cut off is replaced by an ellipsis
 * @returns one line without control, direction, invisible or private characters; '' when nothing visible is left (SECURITY S-154)
 */
export function plainText(text: string, most = Number.POSITIVE_INFINITY): string {
  const line = text.replace(GAPS, ' ').replace(UNSEEN, '').replace(HEAPS, '$1').trim()
  if (NO_INK.test(line)) return ''
  const points = Array.from(line)
  return points.length <= most
    ? line
    : `${points
        .slice(0, most - 1)
        .join('')
        .trimEnd()}…`
}
