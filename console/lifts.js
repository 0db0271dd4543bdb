// One lift: how it is, what it said, what rang, what it did.

import { alarmMarks, outButton } from "./alarms.js";
import { alarmName, register, whereabouts } from "./names.js";
import { age, facts, go, h, moment, part, plot, round, table } from "./page.js";
import { get, getKept, now } from "./server.js";
import { language, MEANINGS, say, STATES, told } from "./words.js";

// Length in ms, resolution, and how long a silence may be before the line is broken: 180 s is lost contact.
const SPANS = {
  last_hour: [3600e3, "", 180e3], last_day: [86400e3, "&resolution=5m", 900e3], last_week: [7 * 86400e3, "&resolution=1h", 3 * 3600e3],
};
// What an inspector asks for first.
const TRIP_COLUMNS = ["from_landing", "to_landing", "flight_time", "top_speed", "door_closing_time", "door_opening_time", "door_reversals", "levelling_error"];

let signal = "car_height";
let span = "last_hour";

export const lifts = {
  name: "lifts",
  searches: true,
  key: (lift) => lift.rescue_code,
  count: () => null,
  load: async (_, text) => (await get(`lifts?limit=50&q=${encodeURIComponent(text)}`)).lifts,
  row: (lift) => ({ tone: "low", what: [lift.rescue_code], where: `${lift.building.name}, ${lift.building.address}`, when: [lift.firm_id] }),

  async detail(code, may) {
    const path = `lifts/${encodeURIComponent(code)}`;
    const [state, alarms, out, trips] = await Promise.all([
      get(`${path}/state`), get(`alarms?lift=${encodeURIComponent(code)}&journal=true&limit=50`),
      get(`out-of-service?lift=${encodeURIComponent(code)}`), get(`${path}/trips?limit=10`),
    ]);
    return [
      h("h1", {}, `${say("lift")} ${code}`),
      await whereabouts(code),
      h("p", { class: "soft" }, `${say("heard")} `, state.heard_at ? age(state.heard_at) : say("never")),
      h("div", { class: "acts" }, may.has("take_out_of_service") && outButton(code)),
      state.rescue && h("p", { class: "bad" }, `${say("rescues")}: `, go(`rescues/${state.rescue.ticket_id}`, state.rescue.ticket_id)),
      ...out.entries.map((entry) => h("p", {}, `${say("hidden_out")}: `, go(`service/${entry.number}`, `${entry.reason} · ${entry.by}`))),
      await readings(path),
      part(say("alarms"), table([say("alarms"), say("state"), say("raised"), say("returned")], alarms.alarms.map((alarm) =>
        [h("span", {}, go(`alarms/${encodeURIComponent(alarm.key)}`, alarmName(alarm)), alarmMarks(alarm)), told(STATES, alarm.state), moment(alarm.raised_at), moment(alarm.returned_at)]))),
      await newestTrips(trips),
      part(say("now"), await signals(state)), await register(code),
    ];
  },
};

async function signals(state) {
  const known = new Map((await getKept("catalogue")).signals.map((one) => [one.name, one]));
  return facts(...Object.entries(state.signals).map(([name, value]) =>
    [known.get(name)?.[language()] ?? name, value.meaning ? told(MEANINGS, value.meaning) : `${round(value.value)} ${value.unit}`]));
}

async function readings(path) {
  const known = (await getKept("catalogue")).signals;
  const place = h("div", {});
  const draw = async () => {
    const [length, resolution, silence] = SPANS[span];
    const to = now();
    const from = to - length;
    const spelled = (ms) => encodeURIComponent(new Date(ms).toISOString());
    const found = await get(`${path}/history?signals=${signal}&start=${spelled(from)}&end=${spelled(to)}${resolution}`);
    const whole = known.find((one) => one.name === signal)?.whole;
    place.replaceChildren(plot(found.at.map(Date.parse), found.signals[signal], { from, to, silence, stepped: whole }));
  };
  const choose = (name, choices, chosen, set) => {
    const box = h("select", { "aria-label": name, onchange: () => { set(box.value); draw(); } },
      choices.map(([what, text]) => h("option", { value: what }, text)));
    box.value = chosen;
    return box;
  };
  await draw();
  return part(say("history"), h("div", { class: "acts" },
    choose(say("signal"), known.map((one) => [one.name, `${one[language()]}${one.unit ? ` (${one.unit})` : ""}`]), signal, (name) => { signal = name; }),
    choose(say("at"), Object.keys(SPANS).map((name) => [name, say(name)]), span, (name) => { span = name; })), place);
}

async function newestTrips(trips) {
  const known = new Map((await getKept("catalogue")).trip_signals.map((one) => [one.name, one]));
  const columns = TRIP_COLUMNS.filter((name) => known.has(name));
  const head = (name) => `#${known.get(name)[language()]}${known.get(name).unit && ` (${known.get(name).unit})`}`;
  const cell = (name, row) => (trips.signals[name][row] === null ? "–" : round(trips.signals[name][row]));
  const rows = trips.at.map((at, row) => [moment(at), ...columns.map((name) => cell(name, row))]);
  return part(say("trips"), table([say("at"), ...columns.map(head)], rows.toReversed()));
}
