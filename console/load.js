// Is it too much? The alarm desk's own figures by ISA-18.2 and EEMUA 191.

import { ruleName } from "./names.js";
import { go, h, part, round, spell, table } from "./page.js";
import { get } from "./server.js";
import { say } from "./words.js";

const percent = (share) => (share === null ? "–" : `${Math.round(1000 * share) / 10} %`);
const judged = (text, good) => h("span", { class: good ? "good" : "bad" }, `${good ? "✓" : "!"} ${text}`);

export const load = {
  name: "load",
  async alone() {
    const found = await get("alarms/kpis");
    const mix = found.mix && `${percent(found.mix.low)} / ${percent(found.mix.medium)} / ${percent(found.mix.high)}`;
    const now = found.now;
    return [
      h("h1", {}, say("load")),
      table([say("figure"), say("value"), say("aim")], [
        [say("per_operator"), judged(round(found.per_operator), found.per_operator <= 2), "≤ 1–2"],
        [say("peak"), judged(round(found.peak), found.peak <= 10), "≤ 10"],
        [say("flood"), judged(percent(found.flood_share), found.flood_share < 0.01), "< 1 %"],
        [say("top_share"), found.sources_share === null ? "–" : judged(percent(found.sources_share), found.sources_share < 0.05), "< 5 %"],
        [say("stale"), judged(now.stale, now.stale < 5), "< 5"],
        [say("chattering"), judged(now.chattering, now.chattering === 0), "0"],
        [say("mix"), mix ?? "–", "80 / 15 / 5 %"],
        [say("ack_time"), found.acknowledge_s === null ? "–" : spell(1000 * found.acknowledge_s), say("city_own")],
        [say("operators"), found.operators, ""], [say("shown"), found.shown, ""],
      ]),
      part(say("standing_alarms"), table(["standing", "in_sight", "shelved", "suppressed", "hidden_out"].map((word) => `#${say(word)}`),
        [[now.standing, now.in_sight, now.shelved, now.suppressed, now.out_of_service]])),
      part(say("sources"), table([say("lift"), say("rule"), `#${say("alarms")}`, "#%"], found.sources.map((source) =>
        [go(`lifts/${source.lift}`, source.lift), ruleName(source.rule), source.alarms, percent(source.share)]))),
    ];
  },
};
