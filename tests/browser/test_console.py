"""The console as people use it: by keyboard, on a phone, in both languages, and when something has failed."""

import re
from pathlib import Path

import pytest

from api.moves import MOVES
from lift.alarm import AlarmState, Priority
from lift.codes import Code
from lift.signals import SIGNALS
from lift.ticket import Answer, ClockName, Stage
from tests.browser.chromium import Page
from tests.browser.conftest import Desk
from tests.unit.api.world import EAST, HOUR, WEST

SCREENS = ("rescues", "alarms", "incidents", "service", "load", "lifts")
TRAPPED = "entrapment_between_landings"
# The stream's first event has led to a second look at the tickets, so that no other is on its way.
HELLO_HEARD = "performance.getEntriesByType('resource').filter(one => one.name.includes('/v1/tickets')).length >= 4"
# What `alarms.features.entrapment_signs` weighs.
SIGNS = {"someone_in_a_standing_car", "alarm_button", "controller"}


def fill(page: Page, **fields: str) -> None:
    """Write into the open form and send it."""
    for name, text in fields.items():
        page.until(f"document.querySelector('dialog[open] [name={name}]')")
        page.run(f"document.querySelector('dialog[open] [name={name}]').focus()")
        page.write(text)
    page.until("document.querySelector('dialog[open] button.main')")
    page.run("document.querySelector('dialog[open] button.main').click()")
    page.until("!document.querySelector('dialog').open")


def test_a_dispatcher_takes_a_rescue_to_its_end_by_keyboard(desk: Desk) -> None:
    """A ticket comes in by itself; who, where, how sure and what to do can be read; each key moves it on."""
    page = desk.open("dispatcher")
    page.reads("Nobody waits for help.")
    desk.world.alarm(
        rule=TRAPPED,
        priority=Priority.EMERGENCY,
        code=Code.ENTRAPMENT,
        confidence=0.7,
        evidence=("someone_in_a_standing_car",),
    )
    page.reads("Entrapment", "How sure 70 %", place=".list")
    page.press("j")
    page.reads(
        EAST, "suspected 70 %", "someone in a car that stands", "Help is on its way", "East 555-01", place=".detail"
    )
    ticket = desk.world.ticket()
    for key, stage, fields in (
        ("a", Stage.ACCEPTED, {"note": "Crew 3"}),
        ("d", Stage.EN_ROUTE, {}),
        ("r", Stage.ARRIVED, {}),
        ("e", Stage.RELEASED, {"people": "2"}),
        ("b", Stage.CALLED_BACK, {}),
        ("f", Stage.CAUSE_FILED, {"cause": "Rubbish in the door track 门轨异物"}),
        ("c", Stage.CLOSED, {}),
    ):
        page.until(f"document.querySelector('.detail button[data-key={key}]')")
        page.press(key)
        fill(page, **fields)
        with desk.world.records.read() as tx:
            assert tx.ticket(ticket.ticket_id).stage is stage
        page.until(f"!document.querySelector('.detail button[data-key={key}]')")
    page.reads("门轨异物", "Crew 3", place=".detail")
    page.press("v")
    page.reads("The log is as it was written")


def test_the_life_of_an_alarm(desk: Desk) -> None:
    """Acknowledge, shelve for a time with a reason, bring back, out of service and back; never an emergency."""
    door = desk.world.alarm(rule="door_closing_fault", priority=Priority.MEDIUM, code=Code.DOOR_CLOSING_FAULT)
    page = desk.open("dispatcher", "alarms")
    page.reads("Door closing fault", place=".list")
    page.press("j")
    page.reads("What to do: Door closing fault", place=".detail")
    page.press("a")
    fill(page, note="Told the firm")
    page.gone("Acknowledge\na", place=".detail")
    assert desk.alarm(door.key).acknowledged_by == "dispatcher"
    page.press("s")
    fill(page, reason="Sensor is being replaced")
    page.reads("Nothing here.", place=".list")
    assert desk.alarm(door.key).state(desk.world.clock.now()) is AlarmState.SHELVED
    page.press("u")
    fill(page)
    page.reads("Door closing fault", place=".list")
    page.press("o")
    fill(page, reason="Works")
    page.reads("Nothing here.", place=".list")
    page.press("4")
    page.reads("Door closing fault", place=".list")
    page.press("j")
    page.reads("Works", place=".detail")
    page.press("e")
    fill(page)
    assert desk.alarm(door.key).state(desk.world.clock.now()) is AlarmState.ACKNOWLEDGED


def test_alarms_are_found_by_what_they_are(desk: Desk) -> None:
    """Findings of condition monitoring stand apart from what rang; a restless alarm says that it chatters."""
    desk.world.alarm(rule="door_closing_slower", priority=Priority.LOW)
    for _ in range(3):
        desk.world.back_to_normal(desk.world.alarm(WEST, rule="battery_low", priority=Priority.LOW))
    page = desk.open("dispatcher", "alarms")
    page.reads("Door closing slower", "Battery low", "chattering", place=".list")
    page.run("[...document.querySelectorAll('.tools button')].find(b => b.innerText === 'Wear').click()")
    page.gone("Battery low", place=".list")
    page.reads("Door closing slower", place=".list")


def test_what_is_repaired_is_reported_beside_its_alarm(desk: Desk) -> None:
    """A firm says what it has mended; only a finding of wear asks for it."""
    door = desk.world.alarm(rule="door_closing_slower", priority=Priority.LOW)
    desk.world.alarm(rule="battery_low", priority=Priority.LOW)
    page = desk.open("east", "alarms")
    page.reads("Door closing slower", "Battery low", place=".list")
    page.run("[...document.querySelectorAll('.row')].find(row => row.innerText.includes('Door')).click()")
    page.reads("Repaired", place=".detail")
    page.press("f")
    fill(page, reason="New belt")
    with desk.world.records.read() as tx:
        assert [(one.alarm, one.by, one.reason) for one in tx.repairs(after=0)] == [(door.key, "east", "New belt")]
    page.run("[...document.querySelectorAll('.row')].find(row => row.innerText.includes('Battery')).click()")
    page.reads("What to do: Battery low", place=".detail")
    page.gone("Repaired", place=".detail")


def test_an_emergency_offers_no_way_out_of_sight(desk: Desk) -> None:
    """Neither shelving nor taking out of service is offered for what finds people in danger."""
    desk.world.alarm(rule=TRAPPED, priority=Priority.EMERGENCY, code=Code.ENTRAPMENT)
    page = desk.open("dispatcher", "alarms")
    page.reads("EMERGENCY", place=".list")
    page.press("j")
    page.reads("An emergency is never shelved.", place=".detail")
    assert page.run("[...document.querySelectorAll('.detail button')].map(b => b.dataset.key).join('')") == "a"


def test_a_latched_alarm_is_reset(desk: Desk) -> None:
    """What is over and latched stays in sight until a person resets it."""
    fast = desk.world.alarm(rule="overspeed", priority=Priority.HIGH, latching=True)
    desk.world.back_to_normal(fast)
    page = desk.open("dispatcher", "alarms")
    page.reads("latched, unacknowledged", place=".list")
    page.press("j")
    page.until("document.querySelector('.detail button[data-key=r]')")
    page.press("r")
    fill(page, note="Governor looked at")
    assert desk.alarm(fast.key).reset_at is not None


def test_a_refusal_is_said_in_the_form_and_nothing_written_is_lost(desk: Desk) -> None:
    """Two dispatchers close one ticket: the second reads why that is refused, and the note is still there."""
    page = desk.open("dispatcher")
    ticket = desk.world.ticket()
    page.reads("Entrapment", place=".list")
    page.press("j")
    page.until("document.querySelector('.detail button[data-key=z]')")
    page.press("z")
    page.until("document.querySelector('dialog[open] [name=note]')")
    page.write("A test by the caretaker")
    desk.world.rescue.move(ticket.ticket_id, Stage.CANCELLED, by=desk.actor("admin"), note="", details={})
    page.press("Enter")
    page.reads("a ticket that is cancelled cannot become cancelled", place="dialog")
    assert page.run("document.querySelector('dialog [name=note]').value") == "A test by the caretaker"


@pytest.mark.parametrize("name", ["east", "east-crew"])
def test_a_firm_on_a_phone_sees_its_own(desk: Desk, name: str) -> None:
    """A firm's or crew's phone: their lift only, no button that would be refused, nothing wider than the screen."""
    desk.world.alarm(WEST, rule="door_closing_fault", priority=Priority.MEDIUM)
    desk.world.alarm(rule=TRAPPED, priority=Priority.EMERGENCY, code=Code.ENTRAPMENT)
    page = desk.open(name, width=390, height=844)
    for screen in SCREENS:
        page.run(f"location.hash = '#/{screen}'")
        page.until("document.querySelector('.list, .alone')")
        assert page.run("document.scrollingElement.scrollWidth") <= 390, screen
        assert WEST not in page.text("main")
    page.run(f"location.hash = '#/rescues/{desk.world.ticket().ticket_id}'")
    page.reads("Accept", "What to do", place=".detail")
    assert page.run("document.scrollingElement.scrollWidth") <= 390
    assert "Merge" not in page.text(".detail")


def test_an_inspector_reads_and_changes_nothing(desk: Desk) -> None:
    """A lift's history can be read; nothing is offered that an inspector may not do."""
    alarm = desk.world.alarm(rule="door_closing_fault", priority=Priority.MEDIUM)
    desk.world.alarm(rule="mode_changed_43", priority=Priority.JOURNAL, code=Code.INSPECTION)
    page = desk.open("inspector", f"lifts/{EAST}")
    page.reads("History", "Newest trips", "Door closing fault", "Register", "Mode changed: Inspection", place=".detail")
    page.run(f"location.hash = '#/alarms/{alarm.key}'")
    page.reads("What to do", place=".detail")
    assert page.run("document.querySelectorAll('.detail .acts button').length") == 0


def test_chinese_is_complete(desk: Desk) -> None:
    """In Chinese each screen says everything in Chinese; the key l goes to English and back."""
    desk.world.alarm(rule=TRAPPED, priority=Priority.EMERGENCY, code=Code.ENTRAPMENT)
    page = desk.open("dispatcher", language="zh-CN")
    for screen, words in zip(SCREENS, ("救援", "报警", "事件群", "停用", "报警绩效", "电梯"), strict=True):
        page.run(f"location.hash = '#/{screen}'")
        page.reads(words, place="#tabs [aria-current]")
    page.run(f"location.hash = '#/rescues/{desk.world.ticket().ticket_id}'")
    page.reads("处置手册: 层间困人", "不要让物业或家属自行打开层门", "派单记录", place=".detail")
    page.press("l")
    page.reads("Do not let a doorman or relative open the landing door", place=".detail")
    page.press("l")
    page.reads("处置手册", place=".detail")


def test_every_word_of_the_domain_has_both_languages(desk: Desk) -> None:
    """No state, stage, clock, answer, sign or value is shown raw, and none has lost its Chinese."""
    page = desk.open("dispatcher")
    words = page.run("import('/console/words.js').then(words => JSON.parse(JSON.stringify(words)))")
    stages = {move.to for move in MOVES.values()}
    for table, known in {
        "STATES": set(AlarmState),
        "PRIORITIES": {priority.name.lower() for priority in Priority},
        "STAGES": set(Stage),
        "MOVES": stages,
        "CLOCKS": set(ClockName),
        "ANSWERS": set(Answer),
        "MEANINGS": {meaning for signal in SIGNALS for meaning in signal.values.values()},
        "SIGNS": SIGNS,
    }.items():
        assert words[table].keys() == known, table
        for name, texts in words[table].items():
            assert re.search("[\u4e00-\u9fff]", "".join(texts)), f"{table} {name}"
    verbs = {move.to: (verb, f"{verb.replace('-', '_')}_ticket") for verb, move in MOVES.items()}
    assert {stage: tuple(texts[:2]) for stage, texts in words["MOVES"].items()} == verbs


def test_every_word_of_the_console_has_both_languages() -> None:
    """Each pair of words is English first and Chinese second."""
    console = Path(__file__).parents[2] / "console"
    pairs = re.findall(r'(\w+): \["([^"]+)",\s*"([^"]+)"\]', (console / "words.js").read_text("utf-8"))
    assert len(pairs) > 150
    either = {"sign_out", "other_language"}
    assert [name for name, _, zh in pairs if name not in either and not re.search("[\u4e00-\u9fff]", zh)] == []
    known = {name for name, _, _ in pairs}
    said = {word for file in console.glob("*.js") for word in re.findall(r'say\("(\w+)"\)', file.read_text("utf-8"))}
    assert said <= known, said - known


def test_what_fails_is_said_on_every_screen(desk: Desk) -> None:
    """A part that fails and a server that is gone are told plainly, since silence looks like a quiet night."""
    page = desk.open("dispatcher", "lifts")
    page.reads("live", place="#line")
    desk.fails("alarms", "KeyError")
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    page.reads("silence does not mean that nobody is shut in", place="#trouble")
    page.press("l")
    page.reads("没有报警不代表没有人被困", place="#trouble")
    desk.stop()
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    page.reads("连接中断", place="#line")
    page.reads("服务器无响应", place="#trouble")


def test_what_people_say_is_only_ever_text(desk: Desk) -> None:
    """A caller's words cannot become a part of the page."""
    page = desk.open("dispatcher")
    page.reads("Phone call")
    page.press("p")
    fill(page, lift=EAST, summary="<img src=x onerror='document.title=1'><b>bold</b>")
    page.reads("<img src=x", "<b>bold</b>", place=".list")
    assert page.run("document.querySelectorAll('main img').length") == 0


def test_a_rescue_is_counted_while_old_ones_are_read(desk: Desk) -> None:
    """Whoever looks through closed tickets sees that somebody is shut in."""
    page = desk.open("dispatcher")
    page.reads("Nobody waits for help.")
    page.run("[...document.querySelectorAll('.tools button')].find(b => b.innerText === 'Closed').click()")
    page.until("document.querySelector('.tools button[aria-pressed=true]').innerText === 'Closed'")
    desk.world.alarm(rule=TRAPPED, priority=Priority.EMERGENCY, code=Code.ENTRAPMENT)
    page.until("document.title.startsWith('(1)')")


def test_a_clock_that_is_set_right_hides_nothing(desk: Desk) -> None:
    """The browser's clock is put back by an hour: what happens then is seen at once, and ages follow the server."""
    page = desk.open("dispatcher")
    page.reads("Nobody waits for help.")
    page.until(HELLO_HEARD)
    page.run("{ const real = Date.now; globalThis.real = real; Date.now = () => real() - 3600e3; }")
    desk.world.alarm(rule=TRAPPED, priority=Priority.EMERGENCY, code=Code.ENTRAPMENT)
    page.reads("Entrapment", place=".list")
    wrong = (
        "import('/console/server.js').then(async server => { await server.get('me'); return server.now() - real(); })"
    )
    assert abs(page.run(wrong)) < 2500
    page.run("{ Date.now = real; }")
    assert abs(page.run(wrong)) < 100


def test_what_did_not_come_is_asked_for_again(desk: Desk) -> None:
    """An emergency's event comes, and the list after it does not: the page does not wait for the next event."""
    page = desk.open("dispatcher")
    page.reads("Nobody waits for help.")
    page.run("""{
        const real = fetch;
        globalThis.failed = 0;
        globalThis.broken = true;
        globalThis.fetch = (path, how) => {
            if (!broken || !String(path).includes('tickets')) return real(path, how);
            failed += 1;
            return Promise.reject(new TypeError('no line'));
        };
    }""")
    desk.world.alarm(rule=TRAPPED, priority=Priority.EMERGENCY, code=Code.ENTRAPMENT)
    page.until("failed")
    page.run("new Promise(done => setTimeout(done, 1500))")
    page.run("{ broken = false; }")
    page.reads("Entrapment", place=".list")


def test_a_form_is_sent_once(desk: Desk) -> None:
    """A key held down or a second click on the way does not call one level more."""
    page = desk.open("dispatcher")
    ticket = desk.world.ticket()
    page.reads("Entrapment", place=".list")
    page.press("j")
    page.until("document.querySelector('.detail button[data-key=n]')")
    page.press("n")
    page.until("document.querySelector('dialog[open] button.main')")
    page.run("{ const button = document.querySelector('dialog button.main'); button.click(); button.click(); }")
    page.until("!document.querySelector('dialog').open")
    page.reads("Level 2", place=".list")
    with desk.world.records.read() as tx:
        assert tx.ticket(ticket.ticket_id).level == 2


def test_a_sign_in_that_is_over_is_asked_for(desk: Desk) -> None:
    """A page that was left open over night asks for a name, and does not stand there with old lists."""
    page = desk.open("dispatcher")
    page.until(HELLO_HEARD)
    desk.world.clock.at += 13 * HOUR
    page.until("document.querySelector('form.enter')")


def test_an_account_without_a_screen_is_told_so(desk: Desk) -> None:
    """The account that only reads figures is no blank page."""
    page = desk.browser.page()
    desk.pages.append(page)
    desk.enter(page, "prometheus")
    page.reads("This account is not for the console.")
