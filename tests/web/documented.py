"""The documented answers, letter by letter, and what it means for an answer to have their shape."""

from __future__ import annotations

import json
from typing import Any

BATCH = """{
  "success": true,
  "processed": 2,
  "errors": 0,
  "runs": [
    {
      "id": "run_123",
      "requestId": "req_123",
      "provider": "openai",
      "model": "gpt-5.4",
      "success": true
    }
  ],
  "batchStats": {
    "totalRuns": 2,
    "successful": 2,
    "failed": 0,
    "successRate": 100
  }
}"""
RUN = """{
  "success": true,
  "run": {
    "id": "run_abc123",
    "requestId": "req_123",
    "correlationId": "corr_456",
    "provider": "openai",
    "model": "gpt-5.4",
    "success": true
  }
}"""
OVERVIEW = """{
  "totalRuns": 1234,
  "totalCost": 45.67,
  "totalTokens": 123456,
  "avgCostPerRun": 0.037,
  "successRate": 98.5,
  "avgLatency": 1234,
  "dailyData": [
    {
      "date": "2025-01-15",
      "runs": 25,
      "cost": 1.25,
      "tokens": 2500
    }
  ],
  "byModel": [
    {
      "model": "gpt-5.4",
      "runs": 800,
      "cost": 30.50
    }
  ],
  "byProvider": [
    {
      "provider": "openai",
      "runs": 1000,
      "cost": 35.20
    }
  ]
}"""
USAGE = """{
  "plan": "free",
  "runsThisMonth": 234,
  "runsLimit": 1000,
  "percentUsed": 23.4
}"""
DASHBOARD = """{
  "success": true,
  "data": {
    "totalRuns": 1247,
    "totalCost": 45.67,
    "savings": { "total": 23.45, "roi": 51 },
    "costForecast": {
      "next7Days": 12.34,
      "next30Days": 52.10,
      "confidence": 78,
      "trend": "increasing",
      "factors": ["Usage trending upward", "Higher weekday usage"]
    },
    "routingDecisions": {
      "total": 1247,
      "enforced": 892,
      "qualityUpgrades": 45,
      "costDowngrades": 310
    },
    "providerStats": [
      {
        "provider": "openai",
        "requests": 847,
        "cost": 32.10,
        "avgLatency": 1200,
        "successRate": 0.98,
        "qualityScore": 0.92
      }
    ]
  }
}"""
ROUTE_REQUEST = """{
  "prompt": "Summarize this research paper...",
  "preferences": {
    "priority": "quality",
    "maxLatencyMs": 3000,
    "qualityRequirement": "high"
  }
}"""
ROUTE = """{
  "success": true,
  "decision": {
    "provider": "openai",
    "model": "gpt-5.4-mini",
    "reason": "High quality requirement within latency target"
  }
}"""
PREDICTIVE = """{
  "success": true,
  "forecast": {
    "projectedMonthlyCost": 123.45,
    "trend": "down",
    "confidence": 0.88
  },
  "alerts": [
    { "type": "spend", "level": "warning", "message": "Cost trending up for gpt-5.4" }
  ],
  "recommendations": [
    "Shift 20% traffic to claude-haiku-4.5 during off-peak",
    "Enable model enforcement on critical paths"
  ]
}"""
RATE_LIMITED = """{
  "error": "Rate limit exceeded",
  "retryAfter": 60
}"""


def check_shape(documented: str, answer: Any) -> None:
    """Every documented name is there, nested alike, with a value of its JSON type; lists have the same elements."""
    _check(json.loads(documented), answer, "answer")


def _check(wanted: Any, found: Any, where: str) -> None:
    if isinstance(wanted, dict):
        assert isinstance(found, dict), where
        assert wanted.keys() <= found.keys(), (where, wanted.keys() - found.keys())
        for name, value in wanted.items():
            _check(value, found[name], f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(found, list), where
        assert found, f"{where} is empty: the example needs data"
        for place, one in enumerate(found):
            _check(wanted[0], one, f"{where}[{place}]")
    elif isinstance(wanted, bool):
        assert isinstance(found, bool), where
    elif isinstance(wanted, int | float):
        assert isinstance(found, int | float), (where, found)
        assert not isinstance(found, bool), where
        if isinstance(wanted, int) and "success" not in where.lower() and "confidence" not in where:
            assert isinstance(found, int), (where, found)
    else:
        assert type(found) is type(wanted), (where, found)
