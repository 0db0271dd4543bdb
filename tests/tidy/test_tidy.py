"""The repository polices itself: each rule here is one that a reviewer would otherwise have to remember."""

import ast
import functools
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]

LINE_CHARACTERS_MAX = 120
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 1_000_000

CODE = {
    ".cjs",
    ".conf",
    ".css",
    ".html",
    ".js",
    ".json",
    ".mjs",
    ".py",
    ".sh",
    ".sql",
    ".toml",
    ".ts",
    ".tsx",
    ".yaml",
    ".yml",
}

# Folders whose modules are found by their file names, so that adding one is adding a file.
FOUND_BY_NAME = ("alarms/rules/", "gateway/drivers/", "ingest/decoders/", "simulator/scenarios/")


@functools.cache
def files(*suffixes: str) -> tuple[str, ...]:
    """List what git tracks, or would if all were added, that still exists; with suffixes, only such files."""
    listed = subprocess.run(
        # Some build machines check out under one account and test under another; git would refuse to look.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    names = sorted(set(listed.stdout.split("\0")) - {""})
    return tuple(n for n in names if (ROOT / n).is_file() and (not suffixes or n.endswith(suffixes)))


@functools.cache
def text(name: str) -> str:
    """Read a file; what is not text reads as empty."""
    try:
        return (ROOT / name).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


@functools.cache
def syntax(name: str) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(text(name), name)


def matches(pattern: str, names: tuple[str, ...]) -> list[str]:
    """Find the lines that match, as `file:line: text`."""
    wanted = re.compile(pattern, re.MULTILINE)
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in names
        if wanted.search(text(name))
        for number, line in enumerate(text(name).splitlines(), 1)
        if wanted.search(line)
    ]


def none_of(found: list[str], rule: str) -> None:
    """Fail with the rule and every place that breaks it."""
    if found:
        pytest.fail("\n  ".join([rule, *found]), pytrace=False)


def test_nothing_is_left_for_later() -> None:
    """Code has no notes to come back to: what matters is done, or has an issue."""
    code = tuple(n for n in files() if PurePosixPath(n).suffix in CODE or "." not in PurePosixPath(n).name)
    none_of(matches(r"\b(?:FIX[M]E|TO[D]O|XX[X])\b", code), "do it, or open an issue and delete the note:")


def test_every_rule_has_a_runbook() -> None:
    """Whoever gets an alarm finds a page that says what to do."""
    rules = [PurePosixPath(n).stem for n in files(".py") if n.startswith("alarms/rules/")]
    lacking = [
        f"docs/runbooks/{r}.md" for r in rules if not r.startswith("_") and f"docs/runbooks/{r}.md" not in files()
    ]
    none_of(lacking, "a rule needs a runbook of its name:")


def test_every_module_is_used() -> None:
    """A module that nothing imports, and nobody can start, is dead."""
    modules = {module(name): name for name in files(".py")}
    used = {used for name in files(".py") for used in mentions(name) if used != module(name)}
    scripts = tomllib.loads(text("pyproject.toml"))["project"]["scripts"].values()
    used |= {script.partition(":")[0] for script in scripts}
    dead = [name for known, name in modules.items() if known not in used and not starts_by_itself(name)]
    none_of(dead, "nothing imports these:")


def test_lock_files_name_no_host() -> None:
    """A lock file holds versions and hashes; where packages come from is the business of whoever installs."""
    locks = tuple(n for n in files(".lock") if "package-lock" not in n)
    found = matches(r"https?://", locks)
    found += matches(r'"resolved":\s*"https?://', files("package-lock.json"))
    none_of(found, "a lock file must not record an address:")


def test_no_path_of_one_machine() -> None:
    """What works here works in any folder of any machine."""
    none_of(matches(r"(?<![\w.\-])/(?:work|root|home/\w+)/", files()), "an absolute path of one machine:")


def test_lines_are_short() -> None:
    """Two files fit side by side on a screen."""
    none_of(matches(rf"^.{{{LINE_CHARACTERS_MAX + 1},}}", files(".py")), f"longer than {LINE_CHARACTERS_MAX}:")


def test_functions_are_short() -> None:
    """A function is read in one sitting, on one screen."""
    long = [
        f"{name}:{node.lineno}: {node.name} has {lines} lines"
        for name in files(".py")
        for node in ast.walk(syntax(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    none_of(long, f"longer than {FUNCTION_LINES_MAX} lines:")


def test_no_file_is_large() -> None:
    """The repository stays quick to clone; large inputs are generated."""
    sizes = {name: (ROOT / name).stat().st_size for name in files()}
    none_of([f"{n}: {size:,} bytes" for n, size in sizes.items() if size > FILE_BYTES_MAX], "too large to keep:")


def module(name: str) -> str:
    """Return the dotted name of a Python file.

    >>> module("alarms/rules/overspeed.py"), module("lift/__init__.py")
    ('alarms.rules.overspeed', 'lift')
    """
    return ".".join(PurePosixPath(name).with_suffix("").parts).removesuffix(".__init__")


def mentions(name: str) -> Iterator[str]:
    """Yield every module that a file imports, or names in a string such as `api.app:create_app`."""
    package = name.split("/")[:-1]
    for node in ast.walk(syntax(name)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                above = package[: len(package) - level + 1] if level else []
                base = ".".join([*above, *([source] if source else [])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Constant(value=str(value)) if re.fullmatch(r"\w+(\.\w+)+(:\w+)?", value):
                yield value.partition(":")[0]


def starts_by_itself(name: str) -> bool:
    """Whether a file is used without being imported: a package, a test, a program, or found by its name."""
    last = PurePosixPath(name).name
    return (
        last in {"__init__.py", "__main__.py", "conftest.py"}
        or last.startswith("test_")
        or name.startswith(FOUND_BY_NAME)
        or '__name__ == "__main__"' in text(name)
    )
