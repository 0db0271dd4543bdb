// What people have taken out of service, and its way back.

import { placeOf, ruleName, whereabouts } from "./names.js";
import { act, ask, due, facts, h, moment } from "./page.js";
import { get } from "./server.js";
import { say } from "./words.js";

const list = async (filter) => (await get(`out-of-service?now=${filter === "now"}&limit=200`)).entries;

export const service = {
  name: "service",
  filters: () => [["now", say("now")], ["all", say("all")]],
  key: (entry) => String(entry.number),
  count: () => null,
  load: list,

  row(entry) {
    return {
      tone: "low",
      what: [entry.rule ? ruleName(entry.rule) : say("whole_lift")],
      where: placeOf(entry.lift),
      when: entry.ended_at ? [say("ended"), " ", moment(entry.ended_at)] : [due(entry.until)],
    };
  },

  async detail(number, may) {
    const [all, present] = await Promise.all([list("all"), list("now")]);
    const find = (entries) => entries.find((one) => String(one.number) === number);
    const entry = find(all) ?? find(present);
    if (!entry) return [h("p", { class: "empty" }, say("nothing"))];
    // The server says what goes on; a clock that is wrong here must not hide the way back.
    const going = find(present);
    return [
      h("h1", {}, entry.rule ? ruleName(entry.rule) : say("whole_lift")),
      h("div", { class: "acts" }, going && may.has("return_to_service") && act({ key: "e", word: say("put_back"), main: true,
        run: () => ask({ title: say("put_back"), fields: [], path: `out-of-service/${entry.number}/end` }) })),
      await whereabouts(entry.lift),
      facts([say("reason"), entry.reason], [say("by"), entry.by],
        [say("since"), moment(entry.since)], [say("out_until"), moment(entry.until)],
        [say("ended"), entry.ended_at && `${entry.ended_by} ${moment(entry.ended_at)}`]),
    ];
  },
};
