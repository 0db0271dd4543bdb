"""What is generated and kept in the repository is what the code generates now."""

import json
from pathlib import Path

from runtime.documents import openapi_document

ROOT = Path(__file__).parents[3]


def test_the_kept_openapi_document_is_the_present_one() -> None:
    """A change of the API shows in the document's history; `make openapi` writes it anew."""
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert kept == json.loads(json.dumps(openapi_document()))
