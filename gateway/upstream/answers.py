"""Reading RudderStack's answers, which are text more often than JSON."""

import json
from typing import Any


def json_of(content_type: str, content: bytes) -> bytes | None:
    """The content, if it says that it is JSON and is; else None."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None
    try:
        json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return content


def text_of(content: bytes) -> str:
    """The content as text, whatever its bytes; the newline that Go's http.Error adds is left out."""
    return content.decode("utf-8", "replace").removesuffix("\n")


def document_of(content: bytes) -> dict[str, Any]:
    """What a success that is no JSON is shown as: `{"result": text}`, null for none."""
    return {"result": text_of(content) or None}


def _refuse(name: str) -> Any:
    raise ValueError(name)
