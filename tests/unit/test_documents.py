"""The documents say what is so: links, names, paths and commands in them are checked against the code."""

import ast
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import typer

from adapters.clock import SystemClock
from adapters.records_sql import SqlRecords
from gateway.edge import Edge
from gateway.gateway import Gateway
from gateway.memory import Memory
from gateway.spool import Spool
from ingest.ledger import Ledger
from lift.alarm import AlarmState, Change, Priority
from lift.fleet import Fleet
from lift.ports import Bus, Message
from lift.ticket import Answer, ClockName, Stage
from runtime.cli import app as commands
from runtime.documents import openapi_document
from runtime.score import score_app
from runtime.settings import PREFIX, Settings, load
from runtime.settings_page import env_example, settings_markdown

ROOT = Path(__file__).parents[2]
PACKAGES = ("lift", "gateway", "ingest", "alarms", "dispatch", "adapters", "api", "dashboards", "simulator", "runtime")
# Paths that a checkout does not have: they are made on the machine that needs them.
MADE_LATER = ("deploy/secrets.d",)
# Classes of these are the words that people and code share.
NAMED_AFTER_THE_TRADE = ("lift", "gateway", "ingest", "alarms", "dispatch")

PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.is_file()
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """Give a page's text."""
    return page.read_text("utf-8")


def spans(page: Path) -> list[str]:
    """Give what stands in backticks within a line, and the lines of code blocks."""
    text = prose(page)
    blocks = re.findall(r"^```(?!mermaid)\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", rest) + [line for block in blocks for line in block.splitlines()]


def anchors(page: Path) -> set[str]:
    """Give the addresses of a page's headings as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link leads to a file that is there, and to a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        assert not heading or file.suffix != ".md" or heading in anchors(file), f"{target} has no such heading"


@each_page
def test_paths_exist(page: Path) -> None:
    """What looks like a path of the repository is one."""
    ours = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and not entry.name.startswith(".")} - {"var"}
    for span in spans(page):
        for path in re.findall(r"(?<![\w./<>:@-])\w[\w.-]*/[\w./-]*(?![\w<{*])", span):
            if path.partition("/")[0] in ours and not path.startswith(MADE_LATER):
                assert (ROOT / path).exists(), f"{path} is not there"


@each_page
def test_names_of_code_exist(page: Path) -> None:
    """A dotted name that begins with a package of ours is a name in the code."""
    for span in spans(page):
        if re.fullmatch(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+", span):
            found(span)


@each_page
def test_settings_exist(page: Path) -> None:
    """Every LIFTWATCH_ variable that is mentioned can be set."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", prose(page))) <= known


@each_page
def test_commands_exist(page: Path) -> None:
    """Every liftwatch command and make target that is mentioned can be typed."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for span in spans(page):
        for words in re.findall(r"(?<![\w/.-])liftwatch((?: [a-z]+)+)", span):
            assert is_command(commands, words.split()), f"there is no `liftwatch{words}`"
        for target in re.findall(r"(?<![\w/.-])make ([a-z]+)", span):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no `make {target}`"


def test_routes_exist() -> None:
    """Every route that is mentioned is served."""
    served = set(openapi_document()["paths"]) | {"/", "/openapi.json"}
    for page in PAGES:
        for path in re.findall(r"(?:GET|POST|DELETE) (/[\w./{}-]*)", prose(page)):
            assert path in served, f"{page.name}: {path} is not served"


def test_metrics_exist(tmp_path: Path) -> None:
    """Every figure that is mentioned is measured."""
    measured = metric_names(tmp_path)
    for page in PAGES:
        for name in re.findall(r"(?<![\w/.-])liftwatch_[a-z_]*[a-z]", prose(page)):
            assert name in measured, f"{page.name}: {name} is not measured"


def test_settings_page_is_up_to_date() -> None:
    """docs/settings.md is what `settings_markdown()` gives."""
    assert prose(ROOT / "docs" / "settings.md") == settings_markdown(), "settings have changed: write the page anew"


def test_env_example_is_complete_and_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """.env.example names every setting, and its values are the defaults."""
    text = prose(ROOT / ".env.example")
    assert text == env_example(), "settings have changed: write the file anew"
    values = dict(re.findall(rf"^# ({PREFIX}[A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(values) == {PREFIX + name.upper() for name in Settings.model_fields}
    for name, value in values.items():
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, value)
    assert load().model_dump() == Settings.model_construct().model_dump()


def test_class_names_are_words_of_the_trade() -> None:
    """Every public class of the inner packages is made of words of the glossary, or listed there."""
    listed = set(re.findall(r"`(\w+)`", prose(ROOT / "docs" / "glossary.md")))
    words = glossary_words()
    strange = {
        name
        for name in public_classes()
        if name not in listed and not {stem(word) for word in re.findall("[A-Z][a-z]*", name)} <= words
    }
    assert not strange, f"docs/glossary.md knows no such words: {sorted(strange)}"


def test_states_are_words_of_the_trade() -> None:
    """Every stage, state, answer, priority and clock is explained in the glossary."""
    states = [*Stage, *AlarmState, *Answer, *ClockName, *Change, *(priority.name.lower() for priority in Priority)]
    words = glossary_words()
    strange = {state for state in states if not {stem(word) for word in state.split("_")} <= words}
    assert not strange, f"docs/glossary.md knows no such words: {sorted(strange)}"


def test_glossary_has_both_languages() -> None:
    """Every entry has a Chinese word and says what it means."""
    for english, chinese, meaning in glossary():
        assert re.search(r"[\u4e00-\u9fff]|\d", chinese), f"{english} has no Chinese word"
        assert len(meaning) > 3, f"{english} is not explained"


# ------------------------------------------------------------------------------------------- helpers


def found(dotted: str) -> object:
    """Import a dotted name; AssertionError when there is none."""
    module, *rest = dotted.split(".")
    thing: object = importlib.import_module(module)
    for name in rest:
        module = f"{module}.{name}"
        if not hasattr(thing, name):
            try:
                thing = importlib.import_module(module)
                continue
            except ImportError:
                pytest.fail(f"{dotted} is not a name in the code", pytrace=False)
        thing = getattr(thing, name)
    return thing


def glossary() -> Iterator[tuple[str, str, str]]:
    """Give the rows of the glossary's tables."""
    for line in prose(ROOT / "docs" / "glossary.md").splitlines():
        if line.startswith("| ") and not line.startswith("| English"):
            english, chinese, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            yield english, chinese, meaning


def glossary_words() -> set[str]:
    """Give the stems of all English words that the glossary explains."""
    return {stem(word) for english, _, _ in glossary() for word in re.findall(r"[a-z]+", english.lower())}


def stem(word: str) -> str:
    """Give a word without the s of its plural."""
    word = word.lower()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def public_classes() -> set[str]:
    """Give the names of the inner packages' public classes."""
    files = [file for package in NAMED_AFTER_THE_TRADE for file in (ROOT / package).rglob("*.py")]
    return {
        node.name
        for file in files
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


def is_command(app: typer.Typer, words: list[str]) -> bool:
    """Say whether these words begin with a command."""
    if not words:
        return False
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    if words[0] in groups:
        group = groups[words[0]]
        callback = group.registered_callback if group else None
        if len(words) == 1 and callback is not None and callback.invoke_without_command is True:
            return True
        if group is score_app:
            return True  # whatever follows may be a file
        return group is not None and is_command(group, words[1:])
    return words[0].replace("-", "_") in {name.replace("-", "_") for name in names}


class AbsentBus(Bus):
    """A bus whose broker is away."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Take a message nowhere."""

    def receive(self, *, wait_s: float, most: int) -> list[Message]:
        """Give nothing."""
        return []

    def done(self, messages: Sequence[Message]) -> None:
        """Do nothing."""

    @property
    def connected(self) -> bool:
        """Say no."""
        return False

    def close(self) -> None:
        """Do nothing."""


def metric_names(folder: Path) -> set[str]:
    """Give the names of all figures: those written out in the code, and those that are put together."""
    names = {
        node.value
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("liftwatch_")
    }
    spool = Spool(folder / "spool.db", bytes_max=1_000, age_max_us=1, fresh_epoch="a")
    gateway, memory = Gateway("demo", AbsentBus(), spool, SystemClock()), Memory(folder / "memory.db")
    names |= {
        metric.name
        for metric in [
            *gateway.metrics(),
            *Edge((), gateway, memory, SystemClock()).metrics(),
            *(one for what in ("readings", "trips") for one in Ledger(Fleet([]), what).metrics()),
        ]
    }
    spool.close()
    memory.close()
    records = SqlRecords(f"sqlite:///{folder / 'records.db'}")
    with records.read() as reads:
        names |= {f"liftwatch_{name}" for name in reads.counts()}
    records.close()
    return names
