// Speaks to the API: questions, changes, and the live stream with its heartbeat.

/** What the API refused, in its own words. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let behind = 0;

/** The server's time in ms: a phone's clock may be wrong, and the clocks of a rescue are not. */
export const now = () => Date.now() + behind;

async function ask(method, path, body) {
  const answer = await fetch(`/v1/${path}`, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(15000),
  });
  const said = Date.parse(answer.headers.get("date") ?? "");
  const away = said + 500 - Date.now();
  // The header has whole seconds, so smaller differences mean nothing.
  if (said) behind = Math.abs(away) > 2000 ? away : 0;
  const text = await answer.text();
  const told = text ? JSON.parse(text) : null;
  if (!answer.ok && path !== "health") throw new Refused(answer.status, told?.detail ?? answer.statusText);
  return told;
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body ?? {});
export const drop = (path) => ask("DELETE", path);

/** Ask once and remember: for what hardly ever changes, such as a lift of the register. */
const kept = new Map();
export function getKept(path) {
  if (!kept.has(path)) {
    if (kept.size > 5000) kept.clear();
    kept.set(path, get(path).catch((error) => { kept.delete(path); throw error; }));
  }
  return kept.get(path);
}

// The stream says that it is alive every 15 s.
const SILENT_MS = 25000;

/**
 * Follow the event stream from one line to the next without a gap, for as long as one is signed in.
 * EventSource would hide the heartbeat, and so a line that is dead without having been closed.
 */
export async function follow({ onEvent, onLine }) {
  let last = "";
  for (let pause = 500; ; pause = Math.min(2 * pause, 8000)) {
    const stop = new AbortController();
    let watch = setTimeout(() => stop.abort(), SILENT_MS);
    try {
      const answer = await fetch("/v1/events", { headers: last ? { "Last-Event-ID": last } : {}, signal: stop.signal });
      if (answer.status === 401) return;
      if (!answer.ok) throw new Refused(answer.status, answer.statusText);
      onLine(true);
      pause = 500;
      let rest = "";
      for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(watch);
        watch = setTimeout(() => stop.abort(), SILENT_MS);
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        for (const part of parts) last = heard(part, onEvent) ?? last;
      }
    } catch {
      // Whatever it was, the line is not there; the next try tells.
    } finally {
      clearTimeout(watch);
    }
    onLine(false);
    await new Promise((resume) => setTimeout(resume, pause));
  }
}

function heard(part, onEvent) {
  const field = (name) => part.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const kind = field("event");
  if (kind) onEvent(kind, JSON.parse(field("data") ?? "{}"));
  return field("id");
}
