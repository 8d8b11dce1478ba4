"""The same call in curl, Python and JavaScript, with the reader's own host."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping, Sequence
from typing import Any


def samples(
    method: str,
    path: str,
    body: Mapping[str, Any] | Sequence[Any] | None,
    base_url: str,
    *,
    keyed: bool,
    media: str = "application/json",
) -> list[dict[str, str]]:
    """Code that makes a call as it is written; the key comes from COSTLENS_API_KEY."""
    url = base_url + path
    if media != "application/json":
        return [{"lang": "curl", "label": "curl", "source": _file(url, media)}]
    return [
        {"lang": "curl", "label": "curl", "source": _curl(method, url, body, keyed)},
        {"lang": "python", "label": "Python", "source": _python(method, url, body, keyed)},
        {"lang": "javascript", "label": "JavaScript", "source": _javascript(method, url, body, keyed)},
    ]


def _file(url: str, media: str) -> str:
    lines = (f"curl -X POST {url}", '-H "Authorization: Bearer $COSTLENS_API_KEY"', f'-H "Content-Type: {media}"')
    return " \\\n  ".join((*lines, "--data-binary @runs.ndjson"))


def _indent(body: object) -> int | None:
    """A short body stands in one line."""
    return 2 if len(_text(body)) > 90 else None


def _text(body: object, indent: int | None = None) -> str:
    return json.dumps(body, indent=indent, ensure_ascii=False)


def _curl(method: str, url: str, body: object, keyed: bool) -> str:
    lines = [f"curl {url}" if method == "GET" else f"curl -X {method} {url}"]
    if keyed:
        lines.append('-H "Authorization: Bearer $COSTLENS_API_KEY"')
    if body is not None:
        quoted = _text(body, _indent(body)).replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{quoted}'"]
    return " \\\n  ".join(lines)


def _python(method: str, url: str, body: object, keyed: bool) -> str:
    lines = ["import os", "import httpx", "", f"answer = httpx.{method.lower()}(", f'    "{url}",']
    if keyed:
        lines.append('    headers={"Authorization": f"Bearer {os.environ[\'COSTLENS_API_KEY\']}"},')
    else:
        lines = lines[1:]
    if body is not None:
        lines.append(f"    json={_python_value(body)},")
    return "\n".join([*lines, ")", "answer.raise_for_status()", "print(answer.json())"])


def _python_value(body: object) -> str:
    shown = pprint.pformat(body, width=96, sort_dicts=False)
    shown = shown if "'" in _text(body) else shown.replace("'", '"')
    return shown.replace("\n", "\n         ")


def _javascript(method: str, url: str, body: object, keyed: bool) -> str:
    headers = {}
    if keyed:
        headers["Authorization"] = "`Bearer ${process.env.COSTLENS_API_KEY}`"
    if body is not None:
        headers["Content-Type"] = '"application/json"'
    lines = [f'const answer = await fetch("{url}", {{', f'  method: "{method}",']
    if headers:
        shown = ", ".join(f'"{name}": {value}' for name, value in headers.items())
        lines.append(f"  headers: {{ {shown} }},")
    if body is not None:
        lines.append(f"  body: JSON.stringify({_text(body, _indent(body))}),")
    return "\n".join([*lines, "});", "console.log(await answer.json());"])
