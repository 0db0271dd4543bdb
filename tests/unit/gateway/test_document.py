"""TOML with lines: every key is found where it stands, whatever surrounds it."""

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.document import Document, Place, lines
from tests.unit.gateway.configured import section

# Ways to write a value that holds a mark, and things between that must not confuse.
STYLES = (
    '"{0}"',
    "'{0}'",
    '"{0}" # [not.a.table] = "x"',
    '"""{0}"""',
    '"""{0}\n[nor.this]\nor = 1 \\""" # """',
    "'''{0}\n]]\n'''",
    '[ "{0}", # one\n "other",\n]',
    '{{ inner = "{0}", "quoted key" = [1, 2] }}',
    '[[ "{0}" ], [\n[ 1.5e3, 2026-11-23T08:00:00Z ] ]]',
    '{{ a.b = "{0}" }}',
)
KEYS = st.sampled_from(["a", "b-c", "0x10", '"a b"', "'#'", '"]"', "x.y", "x . z"])
HEADERS = st.sampled_from(
    ["", "# [c]!\n", "\n\n", "[t{0}]\n", "[ t{0} . sub ] # x\n", "[[list]]\n", "[[list]]\n[list.sub]\n"]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Write a document whose marks, m0 m1 …, each stand on the line of their key."""
    text = ""
    for number in range(draw(st.integers(1, 8))):
        header = draw(HEADERS).format(number)
        # In a table of its own any key is new; elsewhere it might stand there already.
        key = draw(KEYS) if header.startswith("[") else f"k{number}"
        text += f"{header}{key} = {draw(st.sampled_from(STYLES)).format(f'm{number}')}\n"
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def marks(value: object, place: Place = ()) -> dict[Place, str]:
    """Find every mark and the place of it."""
    if isinstance(value, str):
        return {place: value.split()[0]} if value.startswith("m") else {}
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {where: mark for key, one in inner for where, mark in marks(one, (*place, key)).items()}


@given(documents())
def test_every_key_is_found_on_its_line(text: str) -> None:
    """Strings over several lines, brackets in comments, inline tables, lists of tables: none of them misleads."""
    found = lines(text)
    expected = marks(tomllib.loads(text))
    assert expected
    for place, mark in expected.items():
        assert mark in text.splitlines()[found[place] - 1]


def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """A syntax error, an empty name and a file that is not there are each one problem."""
    (tmp_path / "broken.toml").write_text("a = 1\nb = \nc = 3\n")
    (problem,) = Document(tmp_path / "broken.toml").problems
    assert (problem.line, problem.reason) == (2, "is not TOML: invalid value")
    (tmp_path / "open.toml").write_text('a = """\n\n')
    assert Document(tmp_path / "open.toml").problems[0].line == 3
    (missing,) = Document(tmp_path / "missing.toml").problems
    assert "No such file" in str(missing)


def test_a_section_goes_on_reading_and_notes_everything() -> None:
    """Each wrong value is noted with what is accepted, and something of the right type is given in its place."""
    table = section('text = 5\nnumber = "x"\nwhole = true\nflag = 1\ntable = []\nlist = [1, "a"]\nextr = 1\n')
    assert table.text("text", choices=("a", "b")) == ""
    assert table.number("number", low=1, high=2, unit="s") == 1
    assert table.whole("whole", low=3, high=4) == 3
    assert table.flag("flag", default=True) is True
    assert list(table.section("table").each()) == []
    assert table.wholes("list", low=0, high=1) == [1]
    assert table.text("lacking") == ""
    table.text("extra", "")
    table.finish()
    assert [(one.line, one.key, one.reason.partition(";")[0]) for one in table.document.problems] == [
        (1, "text", "5 is not one of a, b"),
        (2, "number", "'x' is not a number from 1 to 2 s"),
        (3, "whole", "true is not a whole number from 3 to 4"),
        (4, "flag", "1 is not true or false"),
        (5, "table", "[] is not a table, [table]"),
        (6, "list[1]", "'a' is not accepted in a list of whole numbers from 0 to 1"),
        (1, "", "lacks lacking: a text"),
        (7, "extr", "is not known here"),
    ]
