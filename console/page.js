// Builds what is seen. Text only ever enters the page as text, so nothing that a gateway or caller says can run.

import { now, post } from "./server.js";
import { language, pick, say } from "./words.js";

/** Make an element: properties, then children, of which null and false are left out. */
export function h(tag, properties, ...children) {
  const made = tag === "svg" || tag === "path" || tag === "rect"
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const part = (title, ...children) => h("section", {}, h("h2", {}, title), ...children);
export const mark = (text, tone = "") => h("span", { class: `mark ${tone}` }, text);
export const marks = (...all) => h("span", { class: "marks" }, ...all);
export const empty = (word) => h("p", { class: "empty" }, say(word));
export const go = (address, text) => h("a", { href: `#/${address}` }, text);

/** A list of facts; a fact without a value is left out. */
export const facts = (...pairs) =>
  h("dl", {}, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
    .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** A table; `heads` that begin with # are of numbers. */
export function table(heads, rows) {
  if (!rows.length) return h("p", { class: "soft" }, say("nothing"));
  const numeric = heads.map((head) => head.startsWith("#"));
  const cell = (tag) => (value, column) => h(tag, { class: numeric[column] && "number" }, value ?? "");
  return h("div", { class: "wide" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((head) => head.replace("#", "")).map(cell("th")))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td")))))));
}

/** Spell a moment as the desk's clock on the wall would show it. */
export function moment(text) {
  if (!text) return null;
  const then = new Date(text);
  const today = then.toDateString() === new Date(now()).toDateString();
  const locale = language() === "zh" ? "zh-CN" : "en-GB";
  const time = then.toLocaleTimeString(locale, { hour12: false });
  return today ? time : `${then.toLocaleDateString(locale, { month: "short", day: "numeric" })} ${time}`;
}

/** Spell a length of time: 0:42, 12:05, 3 h 20, 2 d 4 h. */
export function spell(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours ? `${hours} h ${two(minutes % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** An age, or the time left until something is due, that goes on counting by itself. */
export const age = (from) => h("span", { "data-since": from }, spell(now() - Date.parse(from)));
export const due = (at) => count(h("span", { "data-due": at }));

export function tick() {
  for (const one of document.querySelectorAll("[data-since]")) one.textContent = spell(now() - Date.parse(one.dataset.since));
  for (const one of document.querySelectorAll("[data-due]")) count(one);
}

function count(one) {
  const left = Date.parse(one.dataset.due) - now();
  one.textContent = left < 0 ? `${say("overdue")} ${spell(-left)}` : `${say("due_in")} ${spell(left)}`;
  one.className = left < 0 ? "bad" : "";
  return one;
}

/** A button that does something and says what came of it; its key presses it. */
export function act({ key, word, run, main = false }) {
  return h("button", { type: "button", class: main && "main", "data-key": key, onclick: async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await run();
    } catch (error) {
      tell(error.message);
    } finally {
      button.disabled = false;
    }
  } }, word, key && h("kbd", {}, key));
}

/** Say something in passing. */
export function tell(text) {
  const line = h("p", {}, text);
  document.getElementById("told").replaceChildren(line);
  setTimeout(() => line.remove(), 6000);
}

/**
 * Ask for what a change needs, send it, and let the page be loaded anew; what is refused is said in the form,
 * which stays open with everything that was written. `fields` may be empty: then it only asks whether to go on.
 */
export function ask({ title, says, fields, path, body = {} }) {
  const dialog = document.getElementById("ask");
  const wrong = h("p", { class: "bad", role: "alert" });
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.main");
    // A key that is held down, or a second click, would call one level more.
    button.disabled = true;
    const given = { ...body };
    for (const field of fields) {
      const value = form.elements[field.name].value.trim();
      if (value) given[field.name] = field.number ? Number(value) : value;
    }
    try {
      await post(path, given);
      dialog.close();
      tell(say("done"));
      document.dispatchEvent(new Event("changed"));
    } catch (error) {
      wrong.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  } },
  h("h1", {}, title), says && h("p", { class: "soft" }, says), ...fields.map(input), wrong,
  h("div", { class: "acts" }, h("button", { class: "main" }, title),
    h("button", { type: "button", onclick: () => dialog.close() }, say("cancel_form"))));
  dialog.replaceChildren(form);
  dialog.showModal();
  (form.elements[0] ?? form).focus();
}

function input({ name, word, choices, needed, number, value }) {
  const box = choices
    ? h("select", { name }, choices.map(([what, text]) => h("option", { value: what }, text)))
    : h("input", { name, required: needed, type: number ? "number" : "text", maxlength: number ? null : 1000, autocomplete: "off" });
  if (value) box.value = value;
  return h("label", {}, word, box);
}

/** Show the little Markdown that runbooks use: paragraphs, lists and bold. */
export function markdown(text) {
  const blocks = [];
  for (const line of text.split("\n")) {
    const item = line.match(/^(?:-|(\d+)\.) (.*)/);
    const last = blocks.at(-1);
    if (item) {
      const tag = item[1] ? "OL" : "UL";
      if (last?.tagName === tag) last.append(h("li", {}, ...bold(item[2])));
      else blocks.push(h(tag, {}, h("li", {}, ...bold(item[2]))));
    } else if (!line.trim()) blocks.push(h("p", {}));
    else if (last?.tagName === "P") last.append(...bold(`${line} `));
    else if (last && line.startsWith("  ")) last.lastChild.append(...bold(` ${line.trim()}`));
    else blocks.push(h("p", {}, ...bold(`${line} `)));
  }
  return blocks.filter((block) => block.hasChildNodes());
}

const bold = (text) => text.split("**").map((piece, at) => (at % 2 ? h("b", {}, piece) : piece.replaceAll("`", "")));

/** Draw a series over time with its lowest and highest value; a gap where nothing was reported for longer than `silence`. */
export function plot(times, values, { from, to, silence, stepped }) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return empty("no_readings");
  const low = Math.min(...known);
  const high = Math.max(...known);
  const span = high - low || 1;
  let path = "";
  let before = null;
  values.forEach((value, at) => {
    if (value === null) return;
    const x = ((times[at] - from) / (to - from)) * 1000;
    const y = 95 - ((value - low) / span) * 90;
    if (before === null || times[at] - before > silence) path += `M${x.toFixed(1)} ${y.toFixed(1)}`;
    else path += stepped ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `L${x.toFixed(1)} ${y.toFixed(1)}`;
    before = times[at];
  });
  return h("figure", {}, h("svg", { class: "plot", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img" },
    h("rect", { width: 1000, height: 100 }), h("path", { d: path })),
  h("figcaption", { class: "soft" }, `${pick(["lowest", "最低"])} ${round(low)} · ${pick(["highest", "最高"])} ${round(high)} · ${pick(["last", "最新"])} ${round(known.at(-1))}`));
}

/** Four digits are all that a sensor knows. */
export const round = (value) => String(Number(value.toPrecision(4)));
