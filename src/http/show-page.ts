// Puts a page into the answer, with the headers that every page has.
import type Koa from 'koa'
import { pageHeaders } from './page-headers.ts'
import { type Pages, renderPage } from './views.ts'

/**
 * @param options `status` (200); `formAction`: other origins that the page's form may lead to
 */
export function showPage<K extends keyof Pages>(
  ctx: Koa.Context,
  name: K,
  data: Pages[K],
  options: { status?: number; formAction?: readonly string[] } = {},
): void {
  ctx.status = options.status ?? 200
  ctx.set(pageHeaders(options))
  ctx.body = renderPage(name, data)
}
