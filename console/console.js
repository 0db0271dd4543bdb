// The console: signs in, follows the events, and shows one of six screens by the address behind the #.

import { alarms } from "./alarms.js";
import { incidents } from "./incidents.js";
import { lifts } from "./lifts.js";
import { load } from "./load.js";
import { loadNames } from "./names.js";
import { act, empty, h, tell, tick } from "./page.js";
import { rescues } from "./rescues.js";
import { drop, follow, get, post, Refused } from "./server.js";
import { service } from "./service.js";
import { language, pick, say, switchLanguage } from "./words.js";

// A screen, and the operation that one must be allowed to see it.
const SCREENS = [[rescues, "tickets"], [alarms, "alarms"], [incidents, "incidents"], [service, "out_of_service"], [load, "alarm_kpis"], [lifts, "lifts"]];
const HEALTH_EVERY_MS = 5000;
// An event may be one of a thousand: what is on the screen is loaded anew at most this often.
const REFRESH_EVERY_MS = 1000;
const RETRY_MS = 3000;
// The most urgent come first, and nobody reads on beyond so many.
const ROWS_MAX = 150;

const at = (id) => document.getElementById(id);
const chosen = { filter: {}, text: "" };
let may = new Set();
let screens = [];
let counts = {};
let turn = 0;

function place() {
  const [name, ...key] = location.hash.slice(2).split("/");
  const screen = screens.find((one) => one.name === name) ?? screens[0];
  return { screen, key: screen.name === name ? decodeURIComponent(key.join("/")) : "" };
}

async function show() {
  const mine = ++turn;
  const { screen, key } = place();
  drawTabs(screen);
  if (screen.alone) {
    const made = await screen.alone();
    if (mine !== turn) return;
    at("desk").className = "alone";
    at("desk").replaceChildren(h("div", { class: "detail" }, ...made));
    return;
  }
  const filters = screen.filters?.() ?? [];
  const filter = (chosen.filter[screen.name] ??= filters[0]?.[0] ?? "");
  const [found, detail] = await Promise.all([
    screen.load(filter, chosen.text),
    key ? screen.detail(key, may).catch((error) => [h("p", { class: "empty" }, error.message)]) : [empty("choose")],
  ]);
  counts[screen.name] = screen.count(found, filter) ?? counts[screen.name];
  const rows = found.slice(0, ROWS_MAX).map((one) => drawRow(screen, one, key));
  if (found.length > ROWS_MAX) rows.push(h("p", { class: "empty" }, `… ${found.length - ROWS_MAX} ${say("more")}`));
  // Whoever has gone on meanwhile wants the newer page, not this one.
  if (mine !== turn) return;
  drawTabs(screen);
  draw(screen, filters, filter, rows, detail.filter(Boolean), key);
}

function draw(screen, filters, filter, rows, detail, key) {
  const desk = at("desk");
  const same = desk.dataset.place === `${screen.name}/${key}`;
  const kept = [desk.querySelector(".list")?.scrollTop ?? 0, same ? desk.querySelector(".detail")?.scrollTop ?? 0 : 0];
  const focus = document.activeElement?.closest("[data-focus]")?.dataset.focus;
  const typed = desk.querySelector("input")?.selectionStart;
  const tools = [
    ...filters.map(([name, word]) => h("button", { type: "button", class: name === filter && "main", "aria-pressed": String(name === filter),
      onclick: () => { chosen.filter[screen.name] = name; guarded(show); } }, word)),
    screen.searches && searchBox(), ...(screen.tools?.(may) || []),
  ];
  desk.className = key ? "open" : "";
  desk.dataset.place = `${screen.name}/${key}`;
  desk.replaceChildren(
    h("section", { class: "list", "aria-label": say(screen.name) }, h("div", { class: "tools" }, tools), rows.length ? rows : empty(screen.nothing ?? "nothing")),
    h("section", { class: "detail" }, h("a", { class: "back", href: `#/${screen.name}` }, `← ${say("cancel_form")}`), detail));
  [desk.querySelector(".list").scrollTop, desk.querySelector(".detail").scrollTop] = kept;
  const again = focus && desk.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
  again?.focus({ preventScroll: true });
  if (again?.matches("input")) again.setSelectionRange(typed, typed);
}

function searchBox() {
  const box = h("input", { type: "search", placeholder: say("search"), "aria-label": say("search"), "data-focus": "search",
    oninput: () => { chosen.text = box.value.trim(); refresh(); } });
  box.value = chosen.text;
  return box;
}

function drawRow(screen, one, key) {
  const mine = screen.key(one);
  const row = screen.row(one);
  return h("a", { class: `row ${row.tone}`, href: `#/${screen.name}/${encodeURIComponent(mine)}`, "aria-current": mine === key && "true", "data-focus": mine },
    h("span", { class: "what" }, row.what), h("span", { class: "when" }, row.when), h("span", { class: "where" }, row.where));
}

function drawTabs(screen) {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  at("tabs").replaceChildren(...screens.map((one) => h("a", { href: `#/${one.name}`, "aria-current": one === screen && "page" },
    say(one.name), counts[one.name] > 0 && h("span", { class: "count" }, String(counts[one.name])))));
  const open = counts.rescues ?? 0;
  document.title = `${open ? `(${open}) ` : ""}${say(screen.name)} · Liftwatch`;
  at("language").textContent = say("other_language");
  at("leave").textContent = say("sign_out");
}

let last = 0;
let soon = null;
function refresh() {
  if (soon) return;
  // By a clock that nobody sets: were the other put back an hour, nothing new would be seen for an hour.
  soon = setTimeout(async () => {
    soon = null;
    last = performance.now();
    const came = await guarded(show) && await guarded(countRescues);
    // What did not come may be an emergency, and no further event may tell of it.
    if (!came) setTimeout(refresh, RETRY_MS);
  }, Math.max(0, last + REFRESH_EVERY_MS - performance.now()));
}

/** Run something that asks the server; false when it is worth trying again. */
async function guarded(run) {
  try {
    await run();
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) location.reload();
    else if (error instanceof Refused) tell(error.message);
    return error instanceof Refused && error.status < 500;
  }
}

// Rescues are counted whatever is on the screen: a dispatcher who reads a history must see that one has come.
async function countRescues() {
  if (place().screen === rescues && chosen.filter.rescues === "open") return;
  const found = await rescues.load("open");
  counts.rescues = rescues.count(found, "open");
  drawTabs(place().screen);
}

let lineIsThere = true;
async function watchHealth() {
  const wrong = [];
  try {
    const health = await get("health");
    for (const part of Object.values(health.parts)) if (!part.ok) wrong.push(part[language()] + (part.detail && ` (${part.detail.slice(0, 200)})`));
  } catch {
    wrong.push(say("no_server"));
  }
  at("trouble").hidden = !wrong.length;
  at("trouble").textContent = wrong.map((text) => `⚠ ${text}`).join("\n");
  at("line").className = lineIsThere ? "" : "bad";
  at("line").textContent = lineIsThere ? `● ${say("live")}` : say("line_lost");
}

function keys(event) {
  const typing = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || at("ask").open) return;
  if (event.key === "Escape") {
    event.target.blur();
    location.hash = `#/${place().screen.name}`;
    return;
  }
  if (typing) return;
  const screen = screens[Number(event.key) - 1];
  if (screen) location.hash = `#/${screen.name}`;
  else if (event.key === "j" || event.key === "ArrowDown") step(1);
  else if (event.key === "k" || event.key === "ArrowUp") step(-1);
  else if (event.key === "/") { event.preventDefault(); location.hash = "#/lifts"; setTimeout(() => at("desk").querySelector("input")?.focus(), 300); }
  else if (event.key === "l") at("language").click();
  else if (event.key === "?") at("help").click();
  else {
    const button = at("desk").querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
    // Else the letter would be the first one written in the form that opens.
    if (button) event.preventDefault();
    button?.click();
  }
}

function step(by) {
  const rows = [...at("desk").querySelectorAll(".row")];
  const here = rows.findIndex((row) => row.getAttribute("aria-current"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, here + by))];
  next?.click();
  next?.scrollIntoView({ block: "nearest" });
}

function enter() {
  const wrong = h("p", { class: "bad", role: "alert" });
  const form = h("form", { class: "enter", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await post("session", { name: form.elements.name.value, password: form.elements.password.value });
      location.reload();
    } catch (error) {
      wrong.textContent = error instanceof Refused ? error.message : say("no_server");
    }
  } },
  h("h1", {}, "Liftwatch"), h("p", { class: "soft" }, pick(["96333 rescue desk", "96333 电梯应急处置"])),
  h("label", {}, say("name"), h("input", { name: "name", autocomplete: "username", required: true })),
  h("label", {}, say("password"), h("input", { name: "password", type: "password", autocomplete: "current-password", required: true })),
  h("div", { class: "acts" }, h("button", { class: "main" }, say("sign_in")),
    act({ word: say("other_language"), run: () => { switchLanguage(); enter(); } })), wrong);
  at("desk").className = "alone";
  at("desk").replaceChildren(form);
  form.elements.name.focus();
}

async function start() {
  let me;
  try {
    me = await get("me");
  } catch (error) {
    enter();
    return;
  }
  may = new Set(me.may);
  screens = SCREENS.filter(([, operation]) => may.has(operation)).map(([screen]) => screen);
  if (!screens.length) {
    at("desk").className = "alone";
    at("desk").replaceChildren(h("div", { class: "enter" }, empty("no_screens"),
      act({ word: say("sign_out"), run: async () => { await drop("session"); location.reload(); } })));
    return;
  }
  at("leave").title = me.display_name || me.name;
  at("top").hidden = false;
  at("language").onclick = () => { switchLanguage(); guarded(show); watchHealth(); };
  at("help").onclick = () => { at("ask").replaceChildren(h("h1", {}, say("help")), h("p", {}, say("keys")), act({ word: say("close"), run: () => at("ask").close() })); at("ask").showModal(); };
  at("leave").onclick = () => guarded(async () => { await drop("session"); location.reload(); });
  // A phone that was in a pocket shows what is so now, not what was so then.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { refresh(); watchHealth(); } });
  addEventListener("hashchange", () => guarded(show));
  document.addEventListener("changed", () => guarded(show));
  document.addEventListener("keydown", keys);
  setInterval(tick, 1000);
  setInterval(watchHealth, HEALTH_EVERY_MS);
  await guarded(loadNames);
  await guarded(show);
  await guarded(countRescues);
  await watchHealth();
  await follow({
    onEvent: refresh,
    onLine: (there) => { if (there && !lineIsThere) refresh(); lineIsThere = there; watchHealth(); },
  });
  // The sign-in is over, and the page says so by asking for a new one.
  location.reload();
}

start();
