"""Programs that send a first run to this very server, with the key filled in."""

from __future__ import annotations

import json
import shlex

_RUN = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "inputTokens": 1200,
    "outputTokens": 300,
    "latency": 2100,
    "success": True,
    "promptId": "first-run-v1",
}


def snippets(base_url: str, key: str) -> dict[str, str]:
    """Label → program; each runs as it is, without anything to install."""
    url = f"{base_url}/integrations/run"
    body = json.dumps(_RUN)
    curl = (
        f"curl -X POST {shlex.quote(url)} \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )
    fields = ",\n    ".join(f'"{name}": {value!r}' for name, value in _RUN.items()).replace("'", '"')
    python = (
        "import json\nfrom urllib.request import Request, urlopen\n\n"
        f"run = {{\n    {fields},\n}}\n"
        "request = Request(\n"
        f'    "{url}",\n'
        "    json.dumps(run).encode(),\n"
        f'    {{"Authorization": "Bearer {key}", "Content-Type": "application/json"}},\n'
        ")\n"
        "print(urlopen(request).read().decode())"
    )
    pairs = ",\n  ".join(f"{name}: {json.dumps(value)}" for name, value in _RUN.items())
    node = (
        f"const run = {{\n  {pairs},\n}};\n"
        f'fetch("{url}", {{\n'
        '  method: "POST",\n'
        f'  headers: {{ Authorization: "Bearer {key}", "Content-Type": "application/json" }},\n'
        "  body: JSON.stringify(run),\n"
        "})\n"
        "  .then((answer) => answer.text())\n"
        "  .then(console.log);"
    )
    return {"curl": curl, "Python": python, "Node": node}
