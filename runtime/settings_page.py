"""What people read about the settings: `docs/settings.md` and `.env.example`, made from `Settings` itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from runtime.settings import MQTT_SCHEMES, PREFIX, RECORDS_SCHEMES, TELEMETRY_SCHEMES, Settings

_SCHEMES: Final = {
    "records_url": RECORDS_SCHEMES,
    "telemetry_url": TELEMETRY_SCHEMES,
    "mqtt_url": MQTT_SCHEMES,
}

_PAGE: Final = """\
# Settings

Every setting is an environment variable, and none has to be set: without any, Liftwatch runs on one machine.
A value that is not accepted stops the start, with the variable's name, its value and what is accepted; so does a
variable that begins with `LIFTWATCH_` and is not in this list.
`liftwatch settings` lists them with their present values; `.env.example` is this list as a file to copy.

| Variable | Default | Accepted | Meaning |
|---|---|---|---|
"""

_EXAMPLE: Final = """\
# Every setting of Liftwatch with its default; none has to be set. Copy this file to .env, take the # away from
# what you change (with 'quotes' around a value that has & or spaces), and load it into a shell before the start:
#
#     set -a; . ./.env; set +a; liftwatch run
#
# docs/settings.md says what each accepts.
"""


def settings_markdown() -> str:
    """Give the text of `docs/settings.md`: a row for each setting, in the order of the class."""
    rows = [
        f"| `{variable}` | {f'`{default}`' if default else 'empty'} | {accepted} | {meaning} |"
        for variable, default, accepted, meaning in _rows()
    ]
    return _PAGE + "\n".join(rows) + "\n"


def env_example() -> str:
    """Give the text of `.env.example`: every variable with its default, commented out."""
    entries = [f"\n# {meaning}\n# {variable}={default}\n" for variable, default, _accepted, meaning in _rows()]
    return _EXAMPLE + "".join(entries)


def _rows() -> Iterator[tuple[str, str, str, str]]:
    properties: Mapping[str, Any] = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        schemes = _SCHEMES.get(name)
        accepted = _either(["empty", *(f"`{s}:`" for s in schemes)]) if schemes else _accepted(properties[name])
        yield PREFIX + name.upper(), default, accepted, field.description or ""


def _accepted(schema: Mapping[str, Any]) -> str:
    """Say in words what a part of a JSON schema accepts."""
    if "anyOf" in schema:
        return _either(["empty" if one.get("type") == "null" else _accepted(one) for one in schema["anyOf"]])
    if "enum" in schema:
        return _either([f"`{value}`" for value in schema["enum"]])
    if "pattern" in schema:
        return f"text like `{schema['pattern']}`"
    if schema.get("format") == "path":
        return "a path"
    kind: str = schema.get("type", "string")
    if kind not in ("integer", "number"):
        return {"boolean": "`true` or `false`", "string": "text"}.get(kind, kind)
    return f"{'a whole number' if kind == 'integer' else 'a number'}{_range(schema)}"


def _range(schema: Mapping[str, Any]) -> str:
    limits = [
        f"{words} {schema[limit]:g}" if isinstance(schema[limit], float) else f"{words} {schema[limit]}"
        for limit, words in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if limit in schema
    ]
    return "".join(f" {limit}" for limit in limits)


def _either(options: list[str]) -> str:
    """List options as a person would say them.

    >>> _either(["a", "b", "c"])
    'a, b or c'
    """
    return " or ".join(filter(None, [", ".join(options[:-1]), options[-1]]))
