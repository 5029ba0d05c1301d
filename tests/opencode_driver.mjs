// Plays OpenCode for its bridge: node opencode_driver.mjs BRIDGE < {"sessions": {...}, "steps": [...]}
//
// sessions: {id: {parentID, created, messages}} is what the client answers; with `broken` it throws, with `mute` it never
// answers. A step is [hook, input, output]; "event" is not waited for, as OpenCode does not; "exit" ends the process at once.
// Nor is one waited for that has a fourth word, which is queued, until "settle" comes.
// Prints the names of exports and hooks, each step's output as the bridge left it, the toasts, and milliseconds.
const { stdin, argv, stdout } = process
let given = ""
for await (const part of stdin) given += part
const { sessions = {}, steps, broken, mute } = JSON.parse(given)
const born = Date.now()
const asked = (id) => {
  if (broken) throw new Error("broken")
  return mute ? new Promise(() => {}) : Promise.resolve(id in sessions ? sessions[id] : {})
}
const toasts = []
const client = {
  session: {
    get: async ({ path }) => {
      const { parentID, created = 0 } = await asked(path.id)
      return { data: { id: path.id, parentID, time: { created: created === "now" ? Date.now() + 1 : created } } }
    },
    messages: async ({ path }) => ({ data: Array((await asked(path.id)).messages ?? 0).fill({}) }),
  },
  tui: { showToast: async ({ body }) => toasts.push(body) },
}
const bridge = await import(argv[2])
const exported = Object.keys(bridge)
const hooks = await bridge[exported[0]]({ client, directory: process.cwd() })
const outputs = []
const open = []
for (const [name, input, output, queued] of steps) {
  if (name === "exit") process.exit(0)
  if (name === "settle") {
    await Promise.all(open)
    continue
  }
  const done = hooks[name](input, output)
  if (queued) {
    open.push(done)
    await new Promise(setImmediate) // its hook has started by then
  } else if (name !== "event") await done
  outputs.push(output)
}
stdout.write(JSON.stringify({ exported, hooks: Object.keys(hooks), outputs, toasts, took: Date.now() - born }))
