"""Pictures as SVG inside one HTML page, without any library: bars, and a value with its error beside a known range."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

_WIDTH: Final = 560
_LEFT: Final = 20
_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1d2733}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d8dee6}
.outside{color:#b3261e;font-weight:600}.inside{color:#1a7f37}svg{display:block;width:100%;height:auto}
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem 2rem;margin-top:1.5rem}
"""


def _svg(height: int, title: str, body: Sequence[str]) -> str:
    label = escape(title, quote=True)
    head = f'<svg role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">'
    text = f'<text x="{_LEFT}" y="16" font-size="14" font-weight="600">{escape(title)}</text>'
    return "\n".join([head, text, *body, "</svg>"])


def bars(title: str, values: Sequence[float]) -> str:
    """Draw one bar for each value, numbered from 0."""
    top = max([*values, 1e-9])
    step = (_WIDTH - 2 * _LEFT) / max(1, len(values))
    body = []
    for number, value in enumerate(values):
        height = 110.0 * value / top
        x = _LEFT + number * step
        body.append(
            f'<rect x="{x:.1f}" y="{140 - height:.1f}" width="{0.8 * step:.1f}" height="{height:.1f}" fill="#3b6fb6">'
            f"<title>{number}: {value:.2f}</title></rect>"
        )
        body.append(f'<text x="{x:.1f}" y="155" font-size="10">{number}</text>')
    return _svg(165, title, body)


def span(title: str, unit: str, value: float, low: float, high: float, least: float | None, most: float | None) -> str:
    """Draw a value with its interval over the published range, where there is one; all on an axis from 0."""
    known = [number for number in (value, high, most) if number is not None and number == number]  # noqa: PLR0124 - NaN
    top = 1.15 * max([*known, 1e-9])

    def x(number: float) -> float:
        return _LEFT + (_WIDTH - 2 * _LEFT) * min(max(number, 0.0), top) / top

    body = [f'<line x1="{_LEFT}" y1="50" x2="{_WIDTH - _LEFT}" y2="50" stroke="#98a5b3"/>']
    if least is not None and most is not None:
        width = max(x(most) - x(least), 3.0)
        body.append(
            f'<rect x="{x(least):.1f}" y="36" width="{width:.1f}" height="28" fill="#cfe3cf">'
            f"<title>published {least:g} to {most:g} {escape(unit)}</title></rect>"
        )
        spelt = f"{least:,g}" if least == most else f"{least:,g} to {most:,g}"
        body.append(f'<text x="{x(least):.1f}" y="80" font-size="11">published {spelt} {escape(unit)}</text>')
    if known and value == value:  # noqa: PLR0124 - NaN is not equal to itself
        body.append(f'<line x1="{x(low):.1f}" y1="50" x2="{x(high):.1f}" y2="50" stroke="#1d2733" stroke-width="3"/>')
        body.append(f'<circle cx="{x(value):.1f}" cy="50" r="6" fill="#b3541e"/>')
        body.append(f'<text x="{x(value):.1f}" y="32" font-size="11">{value:,.2f}</text>')
    return _svg(90, f"{title} {f'({unit})' if unit else ''}", body)


def page(title: str, rows: Sequence[tuple[str, str, str, str, str]], pictures: Sequence[str]) -> str:
    """Lay a table (figure, simulated, published, source, verdict) and pictures out on one page, complete in itself."""
    table = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td><td>{escape(known)}</td><td>{escape(source)}</td>"
        f'<td class="{escape(verdict.split()[0])}">{escape(verdict)}</td></tr>'
        for name, value, known, source, verdict in rows
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n<table><tr><th>Figure 指标</th><th>Simulated, 95 % 模拟</th>"
        "<th>Published 公布</th><th>By 来源</th><th></th></tr>\n"
        f"{table}</table>\n<main>\n" + "\n".join(pictures) + "\n</main>\n</html>\n"
    )
