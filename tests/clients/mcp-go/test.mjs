// mark3labs/mcp-go: registers itself, signs the person in, and refreshes by its own clock.

import { installed } from '../environment.mjs'
import { walk } from '../mcp-typescript/walk.mjs'

await walk('mcp-go', [`${installed('mcp-go')}/program`])
