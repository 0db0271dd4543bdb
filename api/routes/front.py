"""The front page and the OpenAPI document, readable without the internet."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.guard import Guarded

router = APIRouter(include_in_schema=False, route_class=Guarded)

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
h1 { margin-bottom: 0 } h2 { margin-top: 2rem; font-size: 1.1rem; border-bottom: 1px solid #ccd5de }
table { width: 100% } td { padding: .2rem .8rem .2rem 0; vertical-align: top }
td:first-child { width: 24rem } td code { white-space: nowrap } code { font-size: .9rem } a { color: #0b5cad }
.console a { display: inline-block; padding: .5rem 1rem; border-radius: .4rem; background: #0b5cad; color: #fff }
@media (prefers-color-scheme: dark) { body { background: #12181f; color: #dce4ec } a { color: #7cb8f5 } }
"""
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)


@router.get("/", response_class=HTMLResponse)
def front_page(request: Request) -> HTMLResponse:
    """Say what this is and list every route, in one page without scripts."""
    page = "\n".join(_page(request.app.openapi()))
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


@router.get("/openapi.json")
def openapi_document(request: Request) -> Response:
    """Give the OpenAPI document."""
    return JSONResponse(request.app.openapi())


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f"<!doctype html><html lang=en><head><meta charset=utf-8><title>Liftwatch</title><style>{_STYLE}</style>"
    yield '<meta name=viewport content="width=device-width, initial-scale=1"></head><body>'
    yield f"<h1>Liftwatch</h1><p>{escape(info['version'])}</p>"
    yield "<p>Watches a city's lifts and runs its 96333 rescue desk. Monitor-only: nothing here moves a lift.</p>"
    yield "<p lang=zh>城市电梯安全监测与96333应急处置平台：只监测，不控制电梯。</p>"
    yield '<p class=console><a href="/console">Open the console 打开控制台</a></p>'
    yield '<p><a href="/openapi.json">OpenAPI 接口文档</a> · <a href="/v1/health">Health 运行状况</a> · '
    yield '<a href="/metrics">Metrics 运行指标</a> (sign-in needed 需登录)</p>'
    for tag in document["tags"]:
        yield f"<h2 id={escape(tag['name'])}>{escape(tag['name'])}: {escape(tag['description'])}</h2><table>"
        yield from _rows(document, tag["name"])
        yield "</table>"
    yield "</body></html>"


def _rows(document: dict[str, Any], tag: str) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation.get("tags", ()):
                text = operation["description"].split("\n")[0]
                yield f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{escape(text)}"
