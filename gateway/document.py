"""A TOML document that remembers its lines, and sections of it that collect every problem at once.

The standard library's reader knows no lines once the syntax is right, so a second, small reader finds where each
key stands. It trusts that the first has accepted the text.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from lift.errors import Invalid

Place: TypeAlias = tuple[str | int, ...]

_TEXT_MOST: Final = 1_000_000
_SHOWN_CHARACTERS_MAX: Final = 60
_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'", re.DOTALL
)
_KEY: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|\'[^\']*\'|[A-Za-z0-9_-]+|[ \t]*\.[ \t]*)+')
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")
_LINE_OF_SYNTAX: Final = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file: where, what was found, what is accepted. `line` is 0 where none fits."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class Document:
    """A TOML file's values, and the line of each key; what is wrong with it is noted in `problems`."""

    def __init__(self, file: Path) -> None:
        """Read a file; one that cannot be read, or is not TOML, is empty and has a problem."""
        self.file = file
        self.problems: list[Problem] = []
        self.lines: dict[Place, int] = {(): 1}
        values: dict[str, Any] = {}
        text = ""
        try:
            text = file.read_bytes().decode()
            if len(text) > _TEXT_MOST:
                raise ValueError(f"longer than {_TEXT_MOST:,} characters")  # noqa: TRY301 - told like the others
            values = tomllib.loads(text)
            self.lines |= lines(text)
        except tomllib.TOMLDecodeError as error:
            self._refuse_syntax(text, str(error))
        except (OSError, ValueError) as error:
            self.problems.append(Problem(str(file), 0, "", f"cannot be read: {error}"))
        self.root = Section(self, (), values)

    @classmethod
    def empty(cls) -> Document:
        """Give a document that says nothing, for what can do without."""
        return cls(Path(os.devnull))

    def note(self, place: Place, reason: str) -> None:
        """Write down what is wrong at a place; the nearest line that is known stands for it."""
        known = next(place[:n] for n in range(len(place), -1, -1) if place[:n] in self.lines)
        self.problems.append(Problem(str(self.file), self.lines[known], dotted(place), reason))

    def _refuse_syntax(self, text: str, told: str) -> None:
        found = _LINE_OF_SYNTAX.search(told)
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        reason = _LINE_OF_SYNTAX.sub("", told).strip()
        self.problems.append(Problem(str(self.file), line, "", f"is not TOML: {reason[:1].lower()}{reason[1:]}"))


def dotted(place: Place) -> str:
    """Spell a place as people write it.

    >>> dotted(("codes", 1, "bits"))
    'codes[1].bits'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


_REQUIRED: Final[Any] = object()


@dataclass(slots=True)
class Section:
    """A table of a document, taken apart key by key.

    What is missing or not accepted is noted and some value of the right type is given, so that reading goes on and
    finds the other problems; nobody may use what was read while the document has problems. `finish` notes the
    keys that nobody asked for.
    """

    document: Document
    place: Place
    values: Mapping[str, Any]
    _asked: set[str] = field(default_factory=set)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def note(self, key: str, reason: str) -> None:
        """Write down what is wrong with a key, or with the section itself for an empty one."""
        self.document.note((*self.place, key) if key else self.place, reason)

    def text(
        self,
        key: str,
        default: str = _REQUIRED,
        *,
        choices: Sequence[str] = (),
        pattern: str = "",
        meaning: str = "a text",
    ) -> str:
        """Take a text; one of `choices`, or of a pattern that `meaning` puts into words."""
        value = self._take(key, str, default, meaning if not choices else "one of " + ", ".join(choices), "")
        assert isinstance(value, str)
        if key in self.values and isinstance(self.values[key], str):
            if choices and value not in choices:
                self.note(key, f"{show(value)} is not accepted{_hint(value, choices)}: one of {', '.join(choices)}")
            elif pattern and not re.fullmatch(pattern, value):
                self.note(key, f"{show(value)} is not {meaning}")
        return value

    def number(self, key: str, default: float = _REQUIRED, *, low: float, high: float, unit: str = "") -> float:
        """Take a number within bounds, both included."""
        accepted = f"a number from {low:g} to {high:g}{unit and ' ' + unit}"
        value = self._take(key, (int, float), default, accepted, low)
        assert isinstance(value, int | float)
        if key in self.values and not (math.isfinite(value) and low <= value <= high):
            self.note(key, f"{show(value)} is not {accepted}")
            return low
        return value

    def whole(self, key: str, default: int = _REQUIRED, *, low: int, high: int, unit: str = "") -> int:
        """Take a whole number within bounds, both included."""
        accepted = f"a whole number from {low} to {high}{unit and ' ' + unit}"
        value = self._take(key, int, default, accepted, low)
        assert isinstance(value, int)
        if key in self.values and not low <= value <= high:
            self.note(key, f"{show(value)} is not {accepted}")
            return low
        return value

    def wholes(self, key: str, *, low: int, high: int) -> list[int]:
        """Take a list of whole numbers within bounds, empty when absent."""
        accepted = f"a list of whole numbers from {low} to {high}"
        value = self._take(key, list, [], accepted, [])
        assert isinstance(value, list)
        for position, one in enumerate(value):
            if type(one) is not int or not low <= one <= high:
                self.document.note((*self.place, key, position), f"{show(one)} is not accepted in {accepted}")
        return [one for one in value if type(one) is int]

    def flag(self, key: str, *, default: bool) -> bool:
        """Take true or false."""
        value = self._take(key, bool, default, "true or false", default)
        assert isinstance(value, bool)
        return value

    def file(self, key: str, default: str = _REQUIRED, *, readable: bool = True) -> Path | None:
        """Take a file's name, relative to the document's folder; None for an empty default.

        A file that must be readable and is not is a problem.
        """
        name = self.text(key, default, meaning="a file's name")
        if not name:
            if key in self.values:
                self.note(key, "is empty: a file's name")
            return None
        path = self.document.file.parent / name
        if readable:
            try:
                with path.open("rb"):
                    pass
            except OSError as error:
                self.note(key, f"{show(name)} cannot be read: {error.strerror}")
        return path

    def section(self, key: str, *, required: bool = False) -> Section:
        """Take a table; an absent one is empty."""
        value = self._take(key, dict, _REQUIRED if required else {}, f"a table, [{dotted((*self.place, key))}]", {})
        assert isinstance(value, dict)
        return Section(self.document, (*self.place, key), value)

    def sections(self, key: str) -> list[Section]:
        """Take a list of tables, empty when absent."""
        accepted = f"a list of tables, [[{dotted((*self.place, key))}]]"
        value = self._take(key, list, [], accepted, [])
        assert isinstance(value, list)
        tables = []
        for position, one in enumerate(value):
            place = (*self.place, key, position)
            if isinstance(one, dict):
                tables.append(Section(self.document, place, one))
            else:
                self.document.note(place, f"{show(one)} is not accepted in {accepted}")
        return tables

    def table(self, key: str, *, read: Callable[[str, object], tuple[int, float]]) -> dict[int, float]:
        """Take a table of numbers by number; `read` makes an entry of it, or raises ValueError with what is wrong."""
        entries = self.section(key)
        found: dict[int, float] = {}
        for name, value in entries.values.items():
            try:
                number, meaning = read(name, value)
                found[number] = meaning
            except ValueError as error:
                entries.note(name, str(error))
        return found

    def each(self) -> Iterator[tuple[str, Section]]:
        """Take every key of this section as a table of its own."""
        for key in self.values:
            yield key, self.section(key)

    def accept(self, keys: Iterable[str]) -> None:
        """Take keys as asked for, whatever they hold."""
        self._asked.update(keys)

    def finish(self) -> None:
        """Note every key that nobody has asked for, with the nearest one that is known."""
        for key in self.values:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.note(key, f"is not known here{_hint(key, sorted(self._asked))}; accepted: {known or 'nothing'}")

    def _take(
        self, key: str, kind: type | tuple[type, ...], default: object, accepted: str, stand_in: object
    ) -> object:
        self._asked.add(key)
        if key not in self.values:
            if default is _REQUIRED:
                self.note("", f"lacks {key}: {accepted}")
                return stand_in
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.note(key, f"{show(value)} is not {accepted}")
            return stand_in if default is _REQUIRED else default
        return value


def show(value: object) -> str:
    """Show a value as it was written, short.

    >>> show(True), show("a")
    ('true', "'a'")
    """
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"


def _hint(wrong: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(wrong, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def refuse(problems: Sequence[Problem]) -> None:
    """Raise Invalid with all problems, a line each; nothing happens when there are none."""
    if problems:
        first, *rest = problems
        place, _, reason = str(first).partition(": ")
        raise Invalid(place, "\n".join([reason, *map(str, rest)]))


# ------------------------------------------------------------------------------------------- where keys stand


def lines(text: str) -> dict[Place, int]:
    r"""Give the line, from 1, on which each key, table and element of an accepted TOML text stands.

    >>> lines('a = 1\n[b]\nc = [\n 2,\n {d = 3}]\n')
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 0): 4, ('b', 'c', 1): 5, ('b', 'c', 1, 'd'): 5}
    """
    reader = _Lines(text)
    reader.document()
    return reader.found


class _Lines:
    """Reads TOML for the places of its keys alone."""

    def __init__(self, text: str) -> None:
        self.found: dict[Place, int] = {}
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line, self._counted_to = 1, 0
        # The number of tables seen so far of each list of tables.
        self._counts: dict[Place, int] = {}

    def document(self) -> None:
        here: Place = ()
        while self._skip(_SPACE) < len(self._text):
            if self._text.startswith("[", self._at):
                here = self._header()
            else:
                self._pair(here)

    def _header(self) -> Place:
        doubled = self._text.startswith("[[", self._at)
        line = self._now()
        self._at += 2 if doubled else 1
        self._skip(_BLANK)
        *above, last = self._keys()
        self._skip(_BLANK)
        self._at += 2 if doubled else 1
        place: Place = ()
        for key in above:
            place = self._within((*place, key))
            self.found.setdefault(place, line)
        place = (*place, last)
        if doubled:
            self._counts[place] = self._counts.get(place, 0) + 1
            self.found.setdefault(place, line)
        place = self._within(place)
        self.found[place] = line
        return place

    def _within(self, place: Place) -> Place:
        """Go into the newest table of a list of tables."""
        return (*place, self._counts[place] - 1) if place in self._counts else place

    def _pair(self, here: Place) -> None:
        line = self._now()
        for key in self._keys():
            here = (*here, key)
            self.found.setdefault(here, line)
        self._skip(_BLANK)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(here)

    def _value(self, here: Place) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._at += 1
            position = 0
            while self._more("]"):
                self.found[*here, position] = self._now()
                self._value((*here, position))
                position += 1
        elif opening == "{":
            self._at += 1
            while self._more("}"):
                self._pair(here)
        else:
            self._skip(_STRING if opening in "\"'" else _SCALAR)

    def _more(self, closing: str) -> bool:
        """Go to the next element of a list or inline table; False, and past its end, when there is none."""
        self._skip(_SPACE)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_SPACE)
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True

    def _keys(self) -> list[str]:
        start = self._at
        self._skip(_KEY)
        value: Any = tomllib.loads(self._text[start : self._at] + " = 0")
        keys = []
        while isinstance(value, dict):
            key, value = next(iter(value.items()))
            keys.append(key)
        return keys

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._at

    def _now(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
