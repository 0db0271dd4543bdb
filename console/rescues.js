// The rescue desk: tickets, the surest first, from the call to the filed cause.

import { alarmName, percent, placeOf, ruleName, runbook, sureness, whereabouts } from "./names.js";
import { act, age, ask, due, facts, go, h, mark, marks, moment, part, table, tell } from "./page.js";
import { get } from "./server.js";
import { ANSWERS, CLOCKS, MOVES, say, SIGNS, STAGES, STATES, told } from "./words.js";

const RESCUE = new Set(["received", "dispatched", "accepted", "en_route", "arrived"]);
// The way a rescue should go comes first on the screen; ways out of it stand behind.
const ORDER = Object.keys(MOVES);
const EXTRA = {
  released: [{ name: "people", word: () => say("people"), number: true }],
  self_released: [{ name: "people", word: () => say("people"), number: true }],
  cause_filed: [{ name: "cause", word: () => say("cause"), needed: true }],
  merged: [{ name: "into", word: () => say("into"), needed: true }],
};
const NOTE = { name: "note", word: () => say("note") };

export const rescues = {
  name: "rescues",
  nothing: "nothing_rescues",
  filters: () => [["open", say("under_way")], ["closed", say("closed_ones")]],
  key: (ticket) => ticket.ticket_id,
  count: (found, filter) => (filter === "open" ? found.filter((ticket) => RESCUE.has(ticket.stage)).length : null),

  async load(filter) {
    if (filter === "closed") return (await get("tickets?open=false&limit=100")).tickets;
    const [urgent, open] = await Promise.all([get("tickets/urgent?limit=200"), get("tickets?open=true&limit=200")]);
    const first = new Set(urgent.tickets.map((ticket) => ticket.ticket_id));
    return [...urgent.tickets, ...open.tickets.filter((ticket) => !first.has(ticket.ticket_id))];
  },

  row(ticket) {
    const clock = nextClock(ticket);
    return {
      tone: RESCUE.has(ticket.stage) ? "emergency" : "low",
      what: [title(ticket), marks(
        mark(`${told(STAGES, ticket.stage)}${RESCUE.has(ticket.stage) ? ` · ${say("level")} ${ticket.level}` : ""}`),
        ticket.confidence < 1 && mark(`${say("sure")} ${percent(ticket.confidence)}`, "high"))],
      where: placeOf(ticket.lift),
      when: [age(ticket.opened_at), clock && h("br"), clock && `${told(CLOCKS, clock.name)} `, clock && due(clock.due)],
    };
  },

  async detail(id, may) {
    const ticket = await get(`tickets/${encodeURIComponent(id)}`);
    const rule = ticket.events.find((event) => event.details.rule)?.details.rule;
    const [place, page] = await Promise.all([whereabouts(ticket.lift), rule && runbook(rule)]);
    return [
      h("h1", {}, title(ticket)),
      h("p", { class: "soft" }, `${ticket.ticket_id} · ${told(STAGES, ticket.stage)} · `, age(ticket.opened_at)),
      place, facts([say("sure"), evidence(ticket)]), moves(ticket, may), page,
      part(say("clocks"), clocks(ticket)), part(say("callouts"), callouts(ticket, may)),
      part(say("alarms"), table([say("alarms"), say("state"), say("raised")],
        ticket.alarms.map((alarm) => [go(`alarms/${encodeURIComponent(alarm.key)}`, alarmName(alarm)), told(STATES, alarm.state), moment(alarm.raised_at)]))),
      part(say("log"), log(ticket.events)),
    ];
  },

  tools: (may) => may.has("report_call") && [act({ key: "p", word: say("report_call"), run: () => ask({
    title: say("report_call"), path: "tickets",
    fields: [{ name: "lift", word: say("needs_lift"), needed: true }, { name: "summary", word: say("said"), needed: true }],
  }) })],
};

// An alarm's summary says code and rule in both languages, and how sure it was then; a caller's is in their own words.
function title(ticket) {
  const said = ticket.summary.match(/^(.+?) ([\u4e00-\u9fff（）、]+) \(([\w ]+)(?:, suspected .*)?\)$/);
  if (!said) return ticket.summary;
  const [, en, zh, words] = said;
  const rule = words.replaceAll(" ", "_");
  if (ruleName(rule) === words) return ticket.summary;
  return alarmName({ rule, en, zh, code: rule.match(/_(\d\d)$/)?.[1] });
}

const waitsFor = (ticket) => ticket.clocks.filter((clock) => !clock.stopped_at && !clock.breached_at);

function nextClock(ticket) {
  return RESCUE.has(ticket.stage) ? waitsFor(ticket).sort((a, b) => a.due.localeCompare(b.due))[0] : null;
}

function moves(ticket, may) {
  const path = `tickets/${encodeURIComponent(ticket.ticket_id)}`;
  const buttons = ORDER.filter((stage) => ticket.moves.includes(stage) && may.has(MOVES[stage][1])).map((stage, at) => {
    const [verb, , en, zh, key] = MOVES[stage];
    const word = told({ [stage]: [en, zh] }, stage);
    const fields = [...(EXTRA[stage] ?? []), NOTE].map((field) => ({ ...field, word: field.word() }));
    return act({ key, word, main: at === 0, run: () => ask({ title: word, fields, path: `${path}/${verb}` }) });
  });
  const verify = may.has("audit_ticket") && act({ key: "v", word: say("verify"), run: async () => {
    const audit = await get(`${path}/audit`);
    tell(audit.intact ? `${say("intact")} ${audit.events}` : `${say("broken")} ${audit.problem}`);
  } });
  return h("div", { class: "acts" }, buttons, verify);
}

function evidence(ticket) {
  const signs = new Set(ticket.alarms.flatMap((alarm) => alarm.evidence).map((sign) => told(SIGNS, sign)));
  const confirmed = ticket.alarms.find((alarm) => alarm.confirmed_at)?.confirmed_at;
  return h("span", {}, [sureness({ confidence: ticket.confidence, confirmed_at: confirmed }), ...signs].join(" · "));
}

const clocks = (ticket) => table([say("clocks"), say("level"), ""], ticket.clocks.map((clock) => [
  told(CLOCKS, clock.name), clock.level || "",
  clock.stopped_at && !clock.breached_at ? h("span", { class: "good" }, "✓ ", moment(clock.stopped_at))
    : clock.breached_at ? h("span", { class: "bad" }, `${say("overdue")} `, moment(clock.breached_at)) : due(clock.due),
]));

function callouts(ticket, may) {
  const path = (callout, verb) => `callouts/${encodeURIComponent(callout.callout_id)}/${verb}`;
  const answers = (callout) => callout.answer === "waiting" && [
    may.has("accept_callout") && act({ word: say("accept_callout"), run: () => ask({
      title: say("accept_callout"), path: path(callout, "accept"), fields: [{ name: "reason", word: say("note") }] }) }), " ",
    may.has("refuse_callout") && act({ word: say("refuse_callout"), run: () => ask({
      title: say("refuse_callout"), path: path(callout, "refuse"), fields: [{ name: "reason", word: say("reason"), needed: true }] }) }),
  ];
  return table([say("level"), say("firm"), say("phone"), say("answer"), ""], ticket.callouts.map((callout) => [
    callout.level, callout.party_name, h("a", { href: `tel:${callout.phone}` }, callout.phone),
    [told(ANSWERS, callout.answer), " ", h("span", { class: "soft" }, moment(callout.answered_at ?? callout.ordered_at)), callout.reason && ` ${callout.reason}`],
    answers(callout) ?? "",
  ].map((cell) => (Array.isArray(cell) ? h("span", {}, ...cell) : cell))));
}

const log = (events) => table(["#", say("at"), say("by"), ""], events.toReversed().map((event) => [
  event.number, moment(event.at), event.by,
  [told(STAGES, event.kind), ...["party", "level", "people", "cause", "note", "reason", "summary"]
    .map((name) => event.details[name]).filter((value) => value !== undefined && value !== "")].join(" · "),
]));

