// Makes the demo's resource where it is missing.
import type { Resource } from '../resources/resource.ts'
import { DEMO_SCOPES, demoAudience } from './demo-api.ts'

/** Adds the resource of the demo API, once. */
export async function seedDemo(
  parts: {
    findResource: (id: string) => Promise<Resource | undefined>
    addResource: (resource: Resource) => Promise<unknown>
  },
  issuer: string,
): Promise<void> {
  const id = demoAudience(issuer)
  if (await parts.findResource(id)) return
  const scopes = Object.entries(DEMO_SCOPES).map(([name, text]) => {
    const writes = name.endsWith(':write')
    return { name, text, risk: writes ? ('high' as const) : ('normal' as const), byDefault: !writes }
  })
  await parts.addResource({ id, name: 'Demo orders', format: 'jwt', sign: 'ES256', lifetime: 600, scopes })
}
