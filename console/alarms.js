// The alarm list and the life cycle of docs/alarm-philosophy.md: acknowledge, shelve, reset, out of service.

import { alarmName, isWear, placeOf, ruleName, runbook, sureness, whereabouts } from "./names.js";
import { act, age, ask, facts, go, h, mark, marks, moment, part } from "./page.js";
import { get, now } from "./server.js";
import { PRIORITIES, say, SIGNS, STATES, told } from "./words.js";

const RANK = { emergency: 0, high: 1, medium: 2, low: 3, journal: 4 };
const STALE_MS = 24 * 3600 * 1000;
const UNSEEN = new Set(["unacknowledged", "latched_unacknowledged", "returned_unacknowledged"]);
const HIDDEN = new Set(["shelved", "suppressed", "out_of_service", "normal", "journal"]);
const SHIFT = [[15, "15 min"], [60, "1 h"], [120, "2 h"], [240, "4 h"], [480, "8 h"]];
const LONG = [[60, "1 h"], [480, "8 h"], [1440, "1 d"], [10080, "7 d"], [43200, "30 d"]];

const stale = (alarm) => !alarm.returned_at && now() - Date.parse(alarm.raised_at) > STALE_MS;
// What is over and only waits for somebody's note comes behind all that stands.
const over = (alarm) => alarm.state === "returned_unacknowledged";
const urgentFirst = (a, b) => over(a) - over(b) || RANK[a.priority] - RANK[b.priority]
  || UNSEEN.has(b.state) - UNSEEN.has(a.state) || b.raised_at.localeCompare(a.raised_at);

export const alarms = {
  name: "alarms",
  filters: () => [
    ["sight", say("in_sight")], ["shelved", say("shelved")], ["suppressed", say("suppressed")], ["out_of_service", say("hidden_out")],
    ["chattering", say("chattering")], ["stale", say("stale")], ["wear", say("condition")], ["everything", say("everything")],
  ],
  key: (alarm) => alarm.key,
  count: (found, filter) => (filter === "sight" ? found.filter((alarm) => UNSEEN.has(alarm.state) && !over(alarm) && RANK[alarm.priority] < 2).length : null),

  async load(filter) {
    if (filter === "everything") return (await get("alarms?limit=200")).alarms;
    if (filter === "chattering" || filter === "stale") return (await get(`alarms?${filter}=true&standing=true&limit=200`)).alarms;
    // In a flood the newest page may hold none of the emergencies.
    const [first, newest] = await Promise.all(["&priority=emergency", ""].map((only) => get(`alarms?standing=true&limit=500${only}`)));
    const standing = [...new Map([...first.alarms, ...newest.alarms].map((alarm) => [alarm.key, alarm])).values()];
    if (filter === "wear") return standing.filter((alarm) => isWear(alarm.rule));
    if (filter !== "sight") return standing.filter((alarm) => alarm.state === filter);
    // What is over and was never acknowledged waits for somebody too.
    const ended = (await get("alarms?standing=false&limit=200")).alarms;
    return [...standing, ...ended].filter((alarm) => !HIDDEN.has(alarm.state)).sort(urgentFirst);
  },

  row(alarm) {
    return {
      tone: alarm.priority,
      what: [alarmName(alarm), alarmMarks(alarm)],
      where: placeOf(alarm.lift),
      when: [age(alarm.raised_at), h("br"), told(STATES, alarm.state)],
    };
  },

  async detail(key, may) {
    const alarm = await get(`alarms/${encodeURIComponent(key)}`);
    const [page, place] = await Promise.all([runbook(alarm.rule), whereabouts(alarm.lift)]);
    return [
      h("h1", {}, alarmName(alarm)),
      h("p", { class: "soft" }, `${told(STATES, alarm.state)} · `, age(alarm.raised_at), alarmMarks(alarm)),
      place, buttons(alarm, may), page, part(say("facts"), alarmFacts(alarm)),
    ];
  },
};

/** What makes an alarm more than its name: its priority, and whether it came first, comes and goes, or only stands. */
export const alarmMarks = (alarm) => marks(
  mark(told(PRIORITIES, alarm.priority), alarm.priority),
  alarm.first_out && mark(say("first_out")),
  alarm.chattering && mark(`${say("chattering")}${alarm.repeats ? ` ×${alarm.repeats}` : ""}`, "high"),
  stale(alarm) && mark(say("stale"), "medium"),
  alarm.confidence < 1 && mark(sureness(alarm), alarm.confirmed_at ? "emergency" : "high"));

function buttons(alarm, may) {
  const path = `alarms/${encodeURIComponent(alarm.key)}`;
  const note = [{ name: "note", word: say("note") }];
  const standing = !alarm.returned_at || (alarm.latching && !alarm.reset_at);
  const emergency = alarm.priority === "emergency";
  return h("div", { class: "acts" },
    !alarm.acknowledged_at && UNSEEN.has(alarm.state) && may.has("acknowledge_alarm") && act({ key: "a", word: say("acknowledge"), main: true,
      run: () => ask({ title: say("acknowledge"), fields: note, path: `${path}/acknowledge` }) }),
    alarm.state.startsWith("latched") && may.has("reset_alarm") && act({ key: "r", word: say("reset"),
      run: () => ask({ title: say("reset"), fields: note, path: `${path}/reset` }) }),
    alarm.state === "shelved" && may.has("unshelve_alarm") && act({ key: "u", word: say("unshelve"),
      run: () => ask({ title: say("unshelve"), fields: [], path: `${path}/unshelve` }) }),
    standing && !emergency && !HIDDEN.has(alarm.state) && may.has("shelve_alarm") && act({ key: "s", word: say("shelve"),
      run: () => ask({ title: say("shelve"), fields: why(SHIFT), path: `${path}/shelve` }) }),
    isWear(alarm.rule) && standing && may.has("repaired_alarm") && act({ key: "f", word: say("repaired"),
      run: () => ask({ title: say("repaired"), says: say("new_baseline"), fields: [reason()], path: `${path}/repaired` }) }),
    may.has("take_out_of_service") && !emergency && alarm.priority !== "journal" && outButton(alarm.lift, alarm.rule),
    emergency && h("span", { class: "soft" }, say("never_shelved")));
}

const reason = () => ({ name: "reason", word: say("reason"), needed: true });
const why = (lengths) => [
  { name: "minutes", word: say("minutes"), choices: lengths, number: true, value: lengths[1][0] },
  reason(),
];

/** Offer to take a lift's alarms, or one rule's, out of service. */
export const outButton = (lift, rule = "") => act({ key: "o", word: say("take_out"), run: () => ask({
  title: say("take_out"), says: say("never_out"), path: "out-of-service", body: { lift },
  fields: [{ name: "rule", word: say("which"), choices: rule ? [[rule, ruleName(rule)], ["", say("whole_lift")]] : [["", say("whole_lift")]] }, ...why(LONG)],
}) });

const alarmFacts = (alarm) => facts(
  [say("rule"), alarm.rule], [say("code"), alarm.code && `${alarm.code} ${alarm.en} ${alarm.zh}`],
  [say("sure"), sureness(alarm)], [say("evidence"), alarm.evidence.map((sign) => told(SIGNS, sign)).join(" · ")],
  [say("onset"), moment(alarm.onset)], [say("raised"), moment(alarm.raised_at)], [say("confirmed"), moment(alarm.confirmed_at)],
  [say("returned"), moment(alarm.returned_at)],
  [say("acknowledged_by"), alarm.acknowledged_at && `${alarm.acknowledged_by} ${moment(alarm.acknowledged_at)}`],
  [say("reset"), moment(alarm.reset_at)], [say("shelved_until"), moment(alarm.shelved_until)],
  [say("out_until"), moment(alarm.out_of_service_until)],
  [say("explained_by"), alarm.suppressed_by && go(`${isIncident(alarm.suppressed_by) ? "incidents" : "alarms"}/${encodeURIComponent(alarm.suppressed_by)}`, alarm.suppressed_by)],
  [say("incident"), alarm.incident && go(`incidents/${encodeURIComponent(alarm.incident)}`, alarm.incident)],
  [say("ticket"), alarm.ticket_id && go(`rescues/${encodeURIComponent(alarm.ticket_id)}`, alarm.ticket_id)],
);

const isIncident = (key) => /^(power_cut|gateway_offline|lift):/.test(key);
