// Incidents: alarms that are one matter.

import { alarmMarks } from "./alarms.js";
import { alarmName, placeOf } from "./names.js";
import { act, age, ask, facts, go, h, mark, marks, moment, part, table } from "./page.js";
import { get } from "./server.js";
import { language, say, STAGES, STATES, told } from "./words.js";

export const incidents = {
  name: "incidents",
  filters: () => [["open", say("open_now")], ["over", say("over")]],
  key: (incident) => incident.key,
  count: (found, filter) => (filter === "open" ? found.filter((one) => !one.acknowledged_at && one.kind !== "lift").length : null),
  load: async (filter) => (await get(`incidents?open=${filter === "open"}&limit=200`)).incidents,

  row(incident) {
    return {
      tone: incident.rescues ? "emergency" : incident.kind === "lift" ? "medium" : "high",
      what: [incident[language()], incidentMarks(incident)],
      where: incident.kind === "lift" ? placeOf(incident.anchor) : incident.anchor,
      when: [age(incident.opened_at), h("br"), `${incident.lifts_inside} / ${incident.lifts} ${say("lifts")}`],
    };
  },

  async detail(key, may) {
    const incident = await get(`incidents/${encodeURIComponent(key)}`);
    const acknowledge = !incident.acknowledged_at && may.has("acknowledge_incident") && act({ key: "a", word: say("acknowledge"), main: true,
      run: () => ask({ title: say("acknowledge"), fields: [{ name: "note", word: say("note") }], path: `incidents/${encodeURIComponent(key)}/acknowledge` }) });
    return [
      h("h1", {}, incident[language()], incidentMarks(incident)), h("div", { class: "acts" }, acknowledge),
      facts([say("onset"), moment(incident.onset)], [say("raised"), moment(incident.opened_at)], [say("ended"), moment(incident.closed_at)],
        [say("lifts_inside"), `${incident.lifts_inside} / ${incident.lifts}`], [say("rescues_inside"), incident.rescues],
        [say("acknowledged_by"), incident.acknowledged_at && `${incident.acknowledged_by} ${moment(incident.acknowledged_at)}`]),
      part(say("rescues"), table([say("ticket"), say("lift"), say("stage")], incident.tickets.map((ticket) =>
        [go(`rescues/${ticket.ticket_id}`, ticket.ticket_id), ticket.lift, told(STAGES, ticket.stage)]))),
      part(say("alarms"), table([say("alarms"), say("lift"), say("state"), say("raised")], incident.alarms.map((alarm) =>
        [h("span", {}, go(`alarms/${encodeURIComponent(alarm.key)}`, alarmName(alarm)), alarmMarks(alarm)), alarm.lift, told(STATES, alarm.state), moment(alarm.raised_at)]))),
      part(say("lifts"), table([say("lift"), say("inside"), say("left")], incident.inside.map((one) =>
        [go(`lifts/${one.lift}`, one.lift), moment(one.joined_at), moment(one.left_at)]))),
    ];
  },
};

const incidentMarks = (incident) => marks(
  incident.rescues > 0 && mark(`${say("rescues")} ${incident.rescues}`, "emergency"),
  incident.mass_event_at && mark(say("mass_event"), "emergency"),
  incident.acknowledged_at && mark(told(STATES, "acknowledged")));
