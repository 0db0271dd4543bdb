// What things are called: rules by their runbooks, lifts by their addresses.

import { facts, go, h, markdown, part } from "./page.js";
import { getKept } from "./server.js";
import { language, pick, say } from "./words.js";

let runbooks = new Map();

export async function loadNames() {
  runbooks = new Map((await getKept("runbooks")).runbooks.map((page) => [page.rule, page]));
}

/** Name a rule; of a family's variant the ending is what tells it from the others. */
export function ruleName(rule) {
  let family = rule;
  while (family && !runbooks.has(family)) family = family.slice(0, Math.max(0, family.lastIndexOf("_")));
  if (!family) return rule.replaceAll("_", " ");
  const ending = rule.slice(family.length).replaceAll("_", " ").trim();
  return runbooks.get(family)[language()] + (ending && `: ${ending}`);
}

/** Name an alarm: by its rule, and by the code of GB/T 24476 where that says more. */
export function alarmName(alarm) {
  const code = alarm.code && new RegExp(`_${alarm.code}$`).test(alarm.rule);
  return code ? `${ruleName(alarm.rule).replace(/: \d+$/, "")}: ${alarm[language()]}` : ruleName(alarm.rule);
}

/** Show what to do about a rule's alarm. */
export async function runbook(rule) {
  const page = await getKept(`runbooks/${encodeURIComponent(rule)}`).catch(() => null);
  return page && part(`${say("what_to_do")}: ${page[language()]}`,
    h("div", { class: "runbook" }, ...markdown(page[`text_${language()}`])));
}

export const liftOf = (code) => getKept(`lifts/${encodeURIComponent(code)}`).catch(() => null);

/** Say where a lift is; the address comes as soon as it is known, and no list waits for it. */
export function placeOf(code) {
  const place = h("span", {}, code);
  liftOf(code).then((lift) => lift && place.append(` · ${lift.building.name}, ${lift.building.address}`));
  return place;
}

/** Whether a rule is a finding of condition monitoring. */
export const isWear = (rule) => runbooks.get(rule)?.condition ?? false;

/** Say in a line where a lift is and whom to call about it. */
export async function whereabouts(code) {
  const lift = await liftOf(code);
  return lift && h("p", { class: "place" }, go(`lifts/${code}`, code), ` · ${lift.building.name}, ${lift.building.address}`, h("br"),
    h("span", { class: "soft" }, `${lift.firm_name} `, h("a", { href: `tel:${lift.firm_phone}` }, lift.firm_phone)));
}

/** Say what the register knows of a lift. */
export async function register(code) {
  const lift = await liftOf(code);
  return lift && part(say("register"), facts(
    [say("district"), lift.building.district], [say("landings"), lift.landings], [say("registration"), lift.registration_code],
    [say("model"), `${lift.make} ${lift.model}, ${lift.rated_speed_m_s} m/s, ${lift.rated_load_kg} kg`],
    [say("installed"), lift.installed], [say("firm"), `${lift.firm_name} (${lift.firm_id})`], [say("gateway"), lift.gateway],
  ));
}

/** Say how far to believe an alarm, or a rescue whose alarms are told with it. */
export const sureness = ({ confidence, confirmed_at: confirmed }) =>
  confirmed ? say("confirmed") : confidence < 1 ? `${say("suspected")} ${percent(confidence)}` : pick(["sure", "可信"]);

export const percent = (share) => `${Math.round(100 * share)} %`;
