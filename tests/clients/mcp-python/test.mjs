// The MCP SDK for Python: registers itself, signs the person in, and refreshes by its own clock.

import { installed } from '../environment.mjs'
import { walk } from '../mcp-typescript/walk.mjs'

await walk('MCP for Python', [`${installed('mcp-python')}/bin/python`, '-u', `${import.meta.dirname}/program.py`])
