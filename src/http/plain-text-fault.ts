// The same question as `plainText`, asked when a text is registered: would it be shown just as it was written?
import { plainText } from './plain-text.ts'

/**
 * @param text a name or description that pages will show
 * @param most longest allowed, in code points
 * @returns what is wrong with it, as the end of a sentence, or undefined
 */
export function plainTextFault(text: string, most: number): string | undefined {
  if (text.trim() === '') return 'is empty'
  if (Array.from(text).length > most) return `is longer than ${most} characters`
  if (plainText(text) === text) return undefined
  return 'must be one line of plain text: no control, direction or invisible characters, and single spaces only inside'
}
