// Written by `holdfast install`, which also takes it away: a change made here is lost.
//
// OpenCode runs plugins inside its own process. This one hands each moment to one of Holdfast's hooks, as JSON on its
// stdin, and puts what the hook answers before the model. OpenCode is not disturbed, whatever breaks: nothing is thrown,
// a hook has 10 seconds, and one that says nothing changes nothing. The contract was recorded from OpenCode 1.18.33.

import { spawn } from "node:child_process"

const PYTHON = "${PYTHON}"
const HOOKS = "${HOOKS}"
const SCRIPTS = {
  "session.start": "session_resume",
  "chat.message": "prompt_activation",
  "tool.execute.after": "post_tool_use",
  "message.part.updated": "post_tool_use",
  "experimental.session.compacting": "before_compaction",
  "session.idle": "turn_end",
  "session.end": "session_end",
}
const LIMIT = 10_000 // milliseconds; a hook gives up by itself after 2,000
const PATIENCE = 2_000 // milliseconds for a question to OpenCode
const MOST = 1_000_000 // characters that a hook may say: it says some thousand
const LONGEST = 20_000 // characters of a call's argument: rules are shown no more
const DEEPEST = 8 // subagents that start subagents

// Run a hook; what it says: {text, notice}. The process is started before this returns, so that it lives on and reads its
// input even if OpenCode ends now; a session of its own keeps the terminal's Ctrl-C from it.
function ask(payload) {
  return new Promise((resolve) => {
    let said = ""
    let timer
    const end = () => {
      clearTimeout(timer)
      try {
        const answer = JSON.parse(said)
        resolve({ text: answer.hookSpecificOutput?.additionalContext ?? "", notice: answer.systemMessage ?? "" })
      } catch {
        resolve({ text: "", notice: "" })
      }
    }
    try {
      const words = ["-I", "-S", `${HOOKS}/${SCRIPTS[payload.hook_event_name]}.py`, "--host", "opencode"]
      const apart = process.platform !== "win32"
      const hook = spawn(PYTHON, words, { stdio: ["pipe", "pipe", "ignore"], detached: apart, windowsHide: true })
      const stop = () => {
        hook.kill("SIGKILL")
        hook.stdout.destroy()
        end()
      }
      timer = setTimeout(stop, LIMIT)
      hook.on("error", end)
      hook.on("close", end)
      hook.stdin.on("error", () => {})
      hook.stdout.on("error", () => {})
      hook.stdout.setEncoding("utf8")
      hook.stdout.on("data", (part) => {
        said += part
        if (said.length <= MOST) return
        said = ""
        stop()
      })
      hook.stdin.end(JSON.stringify(payload, shortened))
    } catch {
      end()
    }
  })
}

function shortened(key, value) {
  return typeof value === "string" && key !== "prompt" && value.length > LONGEST ? value.slice(0, LONGEST) : value
}

// What a question to OpenCode brings, or undefined: it may fail, and it may never end.
async function soon(question) {
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE)))
  try {
    return (await Promise.race([question(), late]))?.data
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

function quietly(act) {
  return async (...given) => {
    try {
      await act(...given)
    } catch {} // it would become the tool's error, or the prompt's end
  }
}

function bridge(client, cwd) {
  const born = Date.now()
  const sessions = new Map()
  const parts = new Map() // a call that is under way -> its part's id, which is unique where a model's call ids are not
  const running = new Set()

  // A session as it is known here, found out about at its first event. Its hooks' calls are told as its root's.
  // briefing, and kept, of failed calls: what the model must be shown at every call until a prompt can carry it.
  async function known(id) {
    let session = sessions.get(id)
    if (!session) {
      session = { id, root: "", created: 0, started: false, compacted: false, briefing: "", kept: [], failures: new Set() }
      sessions.set(id, session)
      session.found = lineage(session)
    }
    await session.found
    return session
  }

  async function lineage(session) {
    let root = session.id
    for (let level = 0; level < DEEPEST; level += 1) {
      const found = await soon(() => client.session.get({ path: { id: root } }))
      if (root === session.id) session.created = found?.time?.created ?? 0
      if (!found?.parentID) break
      root = found.parentID
    }
    session.root = root
  }

  const isRoot = (session) => session.root === session.id

  async function tell(name, session, more) {
    const above = isRoot(session) ? {} : { agent_id: session.id }
    const answer = ask({ hook_event_name: name, session_id: session.root, ...above, cwd, ...more })
    running.add(answer)
    const { text, notice } = await answer
    running.delete(answer)
    if (notice) soon(() => client.tui.showToast({ body: { message: notice, variant: "warning" } }))
    return text
  }

  // OpenCode tells of no start where a session is resumed: it is the first prompt that this process sees.
  async function begin(session) {
    let source = "compact"
    if (!session.compacted) {
      if (session.started) return ""
      const before = await soon(() => client.session.messages({ path: { id: session.id }, query: { limit: 1 } }))
      source = !before?.length ? "startup" : session.created >= born ? "fork" : "resume"
    }
    session.started = true
    session.compacted = false
    return tell("session.start", session, { source })
  }

  async function end(session, reason) {
    if (session.started) await tell("session.end", session, { reason })
  }

  // A call that failed is told of by this event alone, which OpenCode does not wait for. What there is to say to it comes
  // with the model's next call.
  async function failed(session, { id, tool, state }) {
    const answer = tell("message.part.updated", session, {
      tool_name: tool,
      tool_use_id: id,
      tool_input: state.input,
      tool_response: { error: state.error, interrupted: state.metadata?.interrupted },
    })
    session.failures.add(answer)
    const text = await answer
    if (text) session.kept.push(text)
    session.failures.delete(answer)
  }

  async function heard(type, properties) {
    if (type === "message.part.updated" && properties.part.type === "tool") {
      const { part } = properties
      const call = `${part.sessionID} ${part.callID}`
      if (part.state.status === "pending" || part.state.status === "running") parts.set(call, part.id)
      // a fork repeats the events of its parent's calls: those were never under way here
      else if (parts.delete(call) && part.state.status === "error") {
        const session = sessions.get(part.sessionID)
        await failed(session?.root ? session : await known(part.sessionID), part)
      }
      return
    }
    const session = sessions.get(properties.sessionID ?? properties.info?.id)
    if (!session) return
    if (type === "session.compacted") session.compacted = true
    if (type === "session.idle" && session.started) await tell("session.idle", session, {})
    if (type === "session.deleted") {
      sessions.delete(session.id)
      await end(session, "deleted")
    }
  }

  return {
    "chat.message": quietly(async ({ sessionID }, { message, parts: said }) => {
      const session = await known(sessionID)
      const prompt = said.filter((part) => part.type === "text" && !part.synthetic).map((part) => part.text)
      await Promise.all(session.failures)
      const begun = isRoot(session) ? await begin(session) : ""
      const { briefing } = session
      const told = [begun || briefing, ...session.kept]
      const answer = await tell("chat.message", session, { prompt: prompt.join("\n"), message_id: message.id })
      // the turn before a prompt that is queued goes on meanwhile: what it has brought is not in this prompt
      session.kept = session.kept.filter((text) => !told.includes(text))
      if (session.briefing === briefing) session.briefing = ""
      told.push(answer)
      const text = told.filter(Boolean).join("\n")
      if (!text || said.some((part) => part.synthetic && part.text?.includes(text))) return // a second bridge's
      const last = said.at(-1)?.id ?? message.id.replace(/^msg_/, "prt_")
      said.push({ id: `${last}z`, sessionID, messageID: message.id, type: "text", text, synthetic: true })
    }),

    "tool.execute.after": quietly(async ({ tool, sessionID, callID, args }, output) => {
      const session = await known(sessionID)
      const { exit, files } = output.metadata ?? {}
      const changed = files?.map?.(({ filePath, movePath, type }) => ({ filePath, movePath, type }))
      const text = await tell("tool.execute.after", session, {
        tool_name: tool,
        tool_use_id: parts.get(`${sessionID} ${callID}`) ?? callID,
        tool_input: args,
        tool_response: Array.isArray(output.content) ? { isError: output.isError === true } : { exit, files: changed },
      })
      if (text && Array.isArray(output.content)) output.content.push({ type: "text", text })
      else if (text) output.output = output.output ? `${output.output}\n\n${text}` : text
    }),

    "experimental.session.compacting": quietly(async ({ sessionID }) => {
      const session = await known(sessionID)
      if (isRoot(session)) await tell("experimental.session.compacting", session, {})
    }),

    // What was injected is gone after a compaction, and the turn goes on without a prompt: only this reaches the model.
    "experimental.chat.system.transform": quietly(async ({ sessionID }, { system }) => {
      const session = sessions.get(sessionID)
      if (!session) return
      await Promise.all(session.failures)
      if (session.compacted && isRoot(session)) session.briefing = await begin(session)
      const told = [session.briefing, ...session.kept].filter(Boolean).join("\n")
      if (told && !system.some((text) => text.includes(told))) system.push(told)
    }),

    event: quietly(({ event }) => heard(event.type, event.properties)),

    // OpenCode waits for this when it ends or opens the project anew: until then what was told is on its way.
    dispose: quietly(async () => {
      await Promise.all(running)
      await Promise.all([...sessions.values()].map((session) => end(session, "dispose")))
    }),
  }
}

export async function Holdfast({ client, directory } = {}) {
  try {
    return bridge(client, directory)
  } catch {
    return {} // nothing at all would end every prompt
  }
}
