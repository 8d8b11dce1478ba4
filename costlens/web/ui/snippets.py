"""What a caller pastes to send a first run: three languages with nothing to install, and a coding agent's settings."""

from __future__ import annotations

from dataclasses import dataclass

PLACEHOLDER = "$COSTLENS_API_KEY"  # where the key is not known any more


@dataclass(frozen=True, slots=True)
class Snippet:
    name: str  # of its tab, as part of an id
    label: str
    text: str


def first_run_snippets(base_url: str, key: str | None) -> tuple[Snippet, ...]:
    """A run sent from a shell, Python, Node, and by Claude Code. Without a key they read COSTLENS_API_KEY."""
    return (
        Snippet("curl", "curl", _curl(base_url, key or PLACEHOLDER)),
        Snippet("python", "Python", _python(base_url, f'"{key}"' if key else 'os.environ["COSTLENS_API_KEY"]')),
        Snippet("node", "Node", _node(base_url, f'"{key}"' if key else "process.env.COSTLENS_API_KEY")),
        Snippet("claude-code", "Claude Code", _claude_code(base_url, key or PLACEHOLDER)),
    )


def _curl(base_url: str, key: str) -> str:
    return f"""curl -X POST {base_url}/integrations/run \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"provider": "anthropic", "model": "claude-sonnet-4.6",
       "inputTokens": 1840, "outputTokens": 412,
       "latency": 1234, "success": true,
       "promptId": "first-run-v1"}}'"""


def _python(base_url: str, key: str) -> str:
    return f"""import json, os, urllib.request

run = {{
    "provider": "anthropic", "model": "claude-sonnet-4.6",
    "inputTokens": 1840, "outputTokens": 412,
    "latency": 1234, "success": True,
    "promptId": "first-run-v1",
}}
request = urllib.request.Request(
    "{base_url}/integrations/run",
    data=json.dumps(run).encode(),
    headers={{
        "Authorization": "Bearer " + {key},
        "Content-Type": "application/json",
    }},
)
print(urllib.request.urlopen(request).read().decode())"""


def _node(base_url: str, key: str) -> str:
    return f"""const run = {{
  provider: "anthropic", model: "claude-sonnet-4.6",
  inputTokens: 1840, outputTokens: 412,
  latency: 1234, success: true,
  promptId: "first-run-v1",
}};
fetch("{base_url}/integrations/run", {{
  method: "POST",
  headers: {{
    Authorization: "Bearer " + {key},
    "Content-Type": "application/json",
  }},
  body: JSON.stringify(run),
}}).then((answer) => answer.text()).then(console.log);"""


def _claude_code(base_url: str, key: str) -> str:
    return f"""export CLAUDE_CODE_ENABLE_TELEMETRY=1
export OTEL_LOGS_EXPORTER=otlp
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_ENDPOINT={base_url}
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer {key}"
claude"""
