"""Register maps: where a Modbus device keeps what, as a TOML file that is checked before anything is read.

The widths, bit order and limits are those of the Modbus Application Protocol Specification V1.1b3, 4.2-4.4 and 6.1-6.4.
"""

from __future__ import annotations

import difflib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.document import Document, Section, show
from lift.codes import NUMBERS
from lift.signals import BY_NAME, Signal

KINDS: Final = ("holding", "input", "coil", "discrete")
BIT_KINDS: Final = ("coil", "discrete")
TYPES: Final = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "bit": 1, "bits": 1}
ORDERS: Final = ("big", "little")
ADDRESS_MAX: Final = 65_535
# Read Holding Registers and Read Input Registers give at most 125 registers (6.3, 6.4).
REGISTERS_MOST: Final = 125
_WORD_BITS: Final = 16
_NEARLY: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Register:
    """One value of a device: where it stands, how it is read, and what it means.

    Either `signal` is set, or it tells of codes: `bits` gives the code of each bit that may be set, `values` the
    code of each number.
    """

    name: str
    kind: str
    address: int
    type: str = "u16"
    first_bit: int = 0
    last_bit: int = 0
    word_order: str = "big"
    byte_order: str = "big"
    scale: float = 1.0
    offset: float = 0.0
    invalid: frozenset[float] = frozenset()
    values: Mapping[int, float] = field(default_factory=dict)
    bits: Mapping[int, float] = field(default_factory=dict)
    signal: Signal | None = None

    @property
    def width(self) -> int:
        """How many registers, or coils, it takes."""
        return TYPES[self.type]

    def raw(self, words: Sequence[int]) -> float:
        """Put a value together from the registers as they came, 16 bits each; a coil is 0 or 1."""
        if self.kind in BIT_KINDS:
            return int(words[0])
        in_order = words if self.word_order == "big" else tuple(reversed(words))
        # Every register travels high byte first; a device with little-endian bytes has filled it the other way round.
        data = b"".join(int(word).to_bytes(2, "big" if self.byte_order == "big" else "little") for word in in_order)
        if self.type == "f32":
            (number,) = struct.unpack(">f", data)
            return float(number)
        whole = int.from_bytes(data, "big", signed=self.type.startswith("i"))
        if self.type in {"bit", "bits"}:
            return whole >> self.first_bit & (1 << self.last_bit - self.first_bit + 1) - 1
        return whole

    def value(self, raw: float) -> tuple[float, str]:
        """Give a signal's value, NaN when there is none, and what is wrong with it if anything is."""
        assert self.signal is not None
        if raw in self.invalid or not math.isfinite(raw):
            return math.nan, ""
        if self.values:
            if raw not in self.values:
                return math.nan, f"{raw:g} is not in its table of values"
            return self.values[int(raw)], ""
        value = raw * self.scale + self.offset
        if self.signal.whole and abs(value - round(value)) < _NEARLY:
            value = round(value)
        if not self.signal.low <= value <= self.signal.high or (self.signal.whole and value % 1):
            low, high, unit = self.signal.low, self.signal.high, self.signal.unit
            wanted = f"{'whole and ' if self.signal.whole else ''}{low:g} to {high:g} {unit}".rstrip()
            return math.nan, f"{value:g} is not {wanted}: wrong address, type, order or scale?"
        return value, ""

    def codes(self, raw: float) -> tuple[set[int], str]:
        """Give the codes that it says are active, and what is wrong with it if anything is."""
        if self.bits:
            return {int(code) for bit, code in self.bits.items() if int(raw) >> bit & 1}, ""
        if raw in self.values:
            code = int(self.values[int(raw)])
            return ({code} if code else set()), ""
        return set(), f"{raw:g} is not in its table of values"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Neighbouring registers that one request reads."""

    kind: str
    start: int
    count: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RegisterMap:
    """What is read from one kind of device, and how."""

    registers: tuple[Register, ...]
    block_most: int
    gap_most: int

    def blocks(self) -> list[Block]:
        """Give the requests that read everything."""
        return blocks(self.registers, block_most=self.block_most, gap_most=self.gap_most)


def blocks(registers: Iterable[Register], *, block_most: int, gap_most: int) -> list[Block]:
    """Gather registers into few requests: of at most `block_most`, leaping over at most `gap_most` unused ones."""
    found: list[Block] = []
    for one in sorted(registers, key=lambda register: (KINDS.index(register.kind), register.address, register.width)):
        if found:
            last = found[-1]
            count = max(last.count, one.address + one.width - last.start)
            gap = one.address - (last.start + last.count)
            if last.kind == one.kind and gap <= gap_most and count <= block_most:
                found[-1] = Block(last.kind, last.start, count, (*last.registers, one))
                continue
        found.append(Block(one.kind, one.address, one.width, (one,)))
    return found


def read_map(file: Path) -> tuple[RegisterMap, Document]:
    """Read a register map; its document's problems say what is wrong with it, each with its line."""
    document = Document(file)
    root = document.root
    root.text("name", "")
    block_most = root.whole("block_registers_max", 60, low=2, high=REGISTERS_MOST)
    gap_most = root.whole("gap_max", 8, low=0, high=REGISTERS_MOST)
    orders = {
        "word_order": root.text("word_order", "big", choices=ORDERS),
        "byte_order": root.text("byte_order", "big", choices=ORDERS),
    }
    registers = [
        *(_signal(name, section, orders) for name, section in root.section("signals").each()),
        *(_codes(section, orders) for section in root.sections("codes")),
    ]
    if not registers and not document.problems:
        root.note("", "reads nothing: neither [signals.…] nor [[codes]]")
    root.finish()
    return RegisterMap(tuple(registers), block_most, gap_most), document


def _signal(name: str, section: Section, orders: Mapping[str, str]) -> Register:
    signal = BY_NAME.get(name)
    if signal is None:
        near = difflib.get_close_matches(name, BY_NAME, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        section.note("", f"is not a signal{hint} `GET /v1/catalogue` lists them")
        signal = next(iter(BY_NAME.values()))
    place = _place(section, orders)
    scale = section.number("scale", 1.0, low=-1e9, high=1e9)
    offset = section.number("offset", 0.0, low=-1e9, high=1e9)
    if scale == 0:
        section.note("scale", "0 would make every value the same")
    if signal.whole and (scale % 1 or offset % 1):
        section.note("scale" if scale % 1 else "offset", f"{signal.name} is a whole number: only whole factors fit")
    invalid = section.wholes("invalid", low=-(2**31), high=2**32 - 1)
    values = section.table("values", read=lambda key, value: (_number(key), _meaning(signal, value)))
    if "values" in section and ("scale" in section or "offset" in section):
        section.note("values", "and scale or offset: a value is either looked up or computed")
    section.finish()
    return Register(
        name,
        **place,  # type: ignore[arg-type]
        scale=scale,
        offset=offset,
        invalid=frozenset(invalid),
        values=values,
        signal=signal,
    )


def _codes(section: Section, orders: Mapping[str, str]) -> Register:
    place = _place(section, orders, default_type="u16")
    if place["type"] == "f32":
        section.note("type", "'f32' has no bits and is no fault number: u16, i16, u32, i32 or bits")
    bits = section.table("bits_to_codes", read=lambda key, value: (_bit(key, str(place["type"])), _code(value)))
    values = section.table("values", read=lambda key, value: (_number(key), _code(value, none=True)))
    if bool(bits) == bool(values) and not section.document.problems:
        section.note("", "takes either bits_to_codes, a code for each bit, or values, a code for each number")
    section.finish()
    return Register("message_codes", **place, bits=bits, values=values)  # type: ignore[arg-type]


def _place(section: Section, orders: Mapping[str, str], default_type: str = "") -> dict[str, object]:
    kind = section.text("register", choices=KINDS)
    address = section.whole("address", low=0, high=ADDRESS_MAX)
    if kind in BIT_KINDS:
        type_ = section.text("type", "bit", choices=("bit",))
    elif default_type:
        type_ = section.text("type", default_type, choices=tuple(TYPES))
    else:
        type_ = section.text("type", choices=tuple(TYPES))
    type_ = type_ if type_ in TYPES else "u16"
    if address + TYPES[type_] - 1 > ADDRESS_MAX:
        section.note("address", f"{address} is the last one, and {type_} takes {TYPES[type_]}")
    first = last = 0
    if type_ == "bit" and kind not in BIT_KINDS:
        first = last = section.whole("bit", low=0, high=_WORD_BITS - 1)
    elif type_ == "bits":
        ends = section.wholes("bits", low=0, high=_WORD_BITS - 1)
        if len(ends) == 2 and ends[0] <= ends[1]:  # noqa: PLR2004 - the two ends
            first, last = ends
        else:
            section.note("bits", f"{show(ends)} is not [first, last], 0 being the lowest bit")
    return {
        "kind": kind if kind in KINDS else "holding",
        "address": address,
        "type": type_,
        "first_bit": first,
        "last_bit": last,
        "word_order": section.text("word_order", orders["word_order"], choices=ORDERS),
        "byte_order": section.text("byte_order", orders["byte_order"], choices=ORDERS),
    }


def _number(key: str) -> int:
    try:
        return int(key, 0) if not key.isdigit() else int(key)
    except ValueError as error:
        raise ValueError(f"{key!r} is not a number that the device may send") from error


def _bit(key: str, type_: str) -> int:
    most = TYPES[type_] * _WORD_BITS
    if not key.isdigit() or int(key) >= most:
        raise ValueError(f"{key!r} is not a bit of {type_}: 0, the lowest, to {most - 1}")
    return int(key)


def _code(value: object, *, none: bool = False) -> int:
    if type(value) is int and (value in NUMBERS or (none and value == 0)):
        return value
    accepted = ", ".join(f"{number}" for number in sorted(NUMBERS)) + (", or 0 for none" if none else "")
    raise ValueError(f"{show(value)} is not a code: {accepted}")


def _meaning(signal: Signal, value: object) -> float:
    """Read what a device's number means: one of the signal's named values, or a number."""
    if isinstance(value, str):
        for number, label in signal.values.items():
            if value == label:
                return number
        if value == "unknown":
            return math.nan
        named = ", ".join(repr(label) for label in signal.values.values())
        raise ValueError(f"{value!r} is no value of {signal.name}: {named or 'a number'}")
    if isinstance(value, int | float) and not isinstance(value, bool) and signal.low <= value <= signal.high:
        return value
    raise ValueError(f"{show(value)} is not within {signal.low:g} to {signal.high:g}, as {signal.name} is")
