"""Parameters that several routes take."""

from __future__ import annotations

from costlens.web.openapi.operation import Parameter, one_of, whole

DATE = {"type": "string", "maxLength": 40}
START = Parameter("startDate", "First day (or a time, which stands for its day), included", DATE)
END = Parameter("endDate", "Last day, included; default: today", DATE)
DAYS = whole("days", "The last so many days instead of dates", 1, 1_830)
PERIOD = one_of("period", "A preset instead of dates", "7d", "28d", "91d", "12m")
ZONE = Parameter("timezone", "IANA name; default: the organization's, and only that one unless it is said otherwise")
SPAN = (START, END, DAYS, PERIOD, ZONE)
TEAM = Parameter("team", "A team by name, or `none`")
REPO = Parameter("repo", "A repository as owner/name, or `none`")
PROVIDER = Parameter("provider", "A provider by name")
MODEL = Parameter("model", "A model by name")
PROMPT = Parameter("promptId", "A prompt as callers name it")
WHO = (TEAM, REPO, PROVIDER)
ENVIRONMENT = Parameter("environment", "An environment by name, or `none`")
TOOL = Parameter("tool", "A tool by name, or `none`")
USED = (*WHO, MODEL, ENVIRONMENT, TOOL)
CURSOR = Parameter("cursor", "`nextCursor` of the page before")
ROWS = (whole("limit", "Rows of a page", 1, 1_000, 100), CURSOR)
STATES = ("counted", "suggested", "pending", "unlinked", "not_code")
