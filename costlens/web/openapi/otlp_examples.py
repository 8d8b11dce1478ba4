"""What an OTLP exporter sends, cut to one record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _pair(key: str, value: str | int) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}


OTLP_SPAN: Mapping[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": [_pair("service.name", "support-bot")]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "name": "chat gpt-5.4",
                            "startTimeUnixNano": "1764000000000000000",
                            "endTimeUnixNano": "1764000001200000000",
                            "attributes": [
                                _pair("gen_ai.operation.name", "chat"),
                                _pair("gen_ai.provider.name", "openai"),
                                _pair("gen_ai.request.model", "gpt-5.4"),
                                _pair("gen_ai.usage.input_tokens", 1200),
                                _pair("gen_ai.usage.output_tokens", 300),
                            ],
                        }
                    ]
                }
            ],
        }
    ]
}
OTLP_EVENT: Mapping[str, Any] = {
    "resourceLogs": [
        {
            "resource": {"attributes": [_pair("service.name", "claude-code")]},
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": "1764000001200000000",
                            "body": {"stringValue": "claude_code.api_request"},
                            "attributes": [
                                _pair("model", "claude-sonnet-4-5"),
                                _pair("input_tokens", 12),
                                _pair("output_tokens", 300),
                                _pair("cache_read_tokens", 45000),
                                _pair("request_id", "req_123"),
                            ],
                        }
                    ]
                }
            ],
        }
    ]
}
