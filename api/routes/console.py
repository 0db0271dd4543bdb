"""The web console: files of the folder `console/`, served as they are, without a build and without the internet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from api.guard import Guarded
from lift.errors import NotFound

router = APIRouter(prefix="/console", include_in_schema=False, route_class=Guarded)

FOLDER: Final = Path(__file__).parents[2] / "console"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
# Nothing that a gateway or a caller says can become a script, and nothing is loaded from or sent to elsewhere.
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
)


@cache
def files() -> Mapping[str, bytes]:
    """Read the console's files, by name; they are a part of the program and are read once."""
    return {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir()) if file.suffix in {*_TYPES, ".html"}}


@router.get("", response_class=HTMLResponse)
@router.get("/", response_class=HTMLResponse)
def console() -> HTMLResponse:
    """Give the console's page."""
    return HTMLResponse(files()["index.html"], headers={"Content-Security-Policy": _POLICY})


@router.get("/{file}")
def console_file(file: str) -> Response:
    """Give a script or style of the console."""
    kind = _TYPES.get(Path(file).suffix)
    if kind is None or file not in files():
        raise NotFound("there is no such file of the console")
    return Response(files()[file], media_type=kind)
