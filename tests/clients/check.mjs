// What every client script needs: a way to say what was checked, and to stop at the first thing that is
// not as expected.

import assert from 'node:assert/strict'

/** Prints one line, or ends the script. */
export const check = (what, holds, seen) => {
  if (!holds) assert.fail(`${what}: not so${seen === undefined ? '' : `, but ${JSON.stringify(seen)}`}`)
  console.log(`ok  ${what}`)
}

/** The error that `what` ends with; ending well is a failure. */
export const refused = async (what) => {
  try { await what() } catch (error) { return error }
  return assert.fail('this should have been refused')
}

/** Runs the script, and says in one place what went wrong. */
export const run = async (usage, script) => {
  const words = process.argv.slice(2)
  if (words.length !== usage.split(' ').length) {
    console.error(`usage: node ${process.argv[1]} ${usage}`)
    process.exit(2)
  }
  try {
    await script(...words)
  } catch (error) {
    console.error(`FAILED  ${error.stack ?? error}`)
    if (error.cause) console.error('cause:', error.cause)
    process.exitCode = 1
  }
}
