"""Every route of the API: what it is for, what it takes and what it answers."""

from __future__ import annotations

from collections.abc import Mapping

from costlens.services.groups import GROUP_BY
from costlens.web import otlp_json
from costlens.web.api import (
    bodies,
    cache,
    insights,
    people,
    prices,
    prompts,
    providers,
    reports,
    routing,
    runs,
)
from costlens.web.api import roi as roi_api
from costlens.web.openapi import parameters as of
from costlens.web.openapi.operation import Operation, Parameter, one_of, whole
from costlens.web.openapi.organization import KEEP, ORGANIZATION
from costlens.web.openapi.otlp_examples import OTLP_EVENT, OTLP_SPAN
from costlens.web.shapes import insights as insight_shapes
from costlens.web.shapes import ledger, linking, roi
from costlens.web.shapes import people as people_shapes
from costlens.web.shapes import prices as price_shapes
from costlens.web.shapes import prompts as prompt_shapes
from costlens.web.shapes import reports as report_shapes
from costlens.web.shapes import routing as routing_shapes
from costlens.web.shapes.base import ApiError, Done

TRACK, LOOK, SHIP, ROUTE, PRICE, SERVER = "Tracking", "Analytics", "ROI", "Routing and cache", "Prices", "Server"
WHO = "People"
ABOUT = {
    TRACK: "Runs in. An answer of 200 means stored.",
    LOOK: "Cost, tokens, success and latency; forecasts, savings, prompts; the runs themselves.",
    SHIP: "What AI cost and what it shipped: runs linked to pull requests.",
    ROUTE: "Which model a call should go to, and answers that need not be bought again.",
    PRICE: "What models cost, an organization's own prices, and pricing runs anew.",
    WHO: "Who is behind runs and commits: people with their logins and addresses, made one and taken apart.",
    KEEP: "Teams, members, invitations, API keys, the audit log, by the rights of a key's member; all as a file.",
    SERVER: "Whether the server works.",
}

_RUN = {
    "provider": "openai",
    "model": "gpt-5.4",
    "inputTokens": 1200,
    "outputTokens": 300,
    "latency": 1234,
    "success": True,
    "promptId": "greeting-v1",
    "requestId": "req_123",
    "metadata": {"repo": "acme/api", "branch": "feature/x", "actor": "alice"},
}
_OF_RUN = {
    "thisRun": {"operationId": "runs.get_run", "parameters": {"run_id": "$response.body#/run/id"}},
    "decideOnThisRun": {"operationId": "runs.decide", "parameters": {"run_id": "$response.body#/run/id"}},
}
_REFUSED = {402: ApiError}

OPERATIONS: Mapping[str, Operation] = {
    "integrations.track_run": Operation(
        TRACK, "Track one call of a model", ledger.Tracked, bodies.RunBody,
        also=_REFUSED, scope="ingest", example=_RUN, links=_OF_RUN,
    ),
    "integrations.track_instant": Operation(
        TRACK, "The same for wrappers in instant mode", ledger.TrackedInstant, bodies.RunBody,
        also=_REFUSED, scope="ingest", example=_RUN,
    ),
    "integrations.track_batch": Operation(
        TRACK, "Track many calls at once; one bad item costs the others nothing", ledger.BatchTracked, bodies.ANY_BATCH,
        also={207: ledger.BatchTracked, **_REFUSED}, scope="ingest", example={"runs": [_RUN]},
    ),
    "integrations.import_runs": Operation(
        TRACK, "Track newline-delimited JSON, one run a line", ledger.Imported, bodies.RunBody,
        also={207: ledger.Imported, **_REFUSED}, scope="ingest", example=_RUN, media="application/x-ndjson",
    ),
    "otlp.take_traces": Operation(
        TRACK, "OpenTelemetry: spans of calls of models, as OTLP in JSON or application/x-protobuf",
        ledger.TracesTaken, otlp_json.TracesRequest, also=_REFUSED, scope="ingest", example=OTLP_SPAN,
    ),
    "otlp.take_logs": Operation(
        TRACK, "OpenTelemetry: events of Claude Code and Codex, as OTLP in JSON or application/x-protobuf",
        ledger.LogsTaken, otlp_json.LogsRequest, also=_REFUSED, scope="ingest", example=OTLP_EVENT,
    ),
    "otlp.take_metrics": Operation(
        TRACK, "OpenTelemetry: metrics are accepted, and make no runs",
        ledger.MetricsTaken, otlp_json.MetricsRequest, scope="ingest", example={"resourceMetrics": []},
    ),
    "analytics.get_overview": Operation(
        LOOK, "Cost, runs, tokens, success and latency of a period", ledger.OverviewAnswer,
        params=(
            *of.SPAN, *of.WHO, of.MODEL, of.PROMPT,
            one_of("groupBy", "Rows of one dimension that add up to the total", *GROUP_BY),
            whole("limit", "Groups told apart", 1, 1_000, 100), one_of("compare", "With the period before", "previous"),
            one_of("format", "Days, or groups, as CSV", "json", "csv"),
        ),
    ),
    "analytics.get_usage": Operation(LOOK, "The plan's runs of this month", ledger.Usage),
    "insights.get_dashboard": Operation(
        LOOK, "Totals, savings, forecast, routing decisions and providers", insight_shapes.DashboardStats,
        params=of.SPAN,
    ),
    "insights.get_predictive": Operation(
        LOOK, "Forecast, alerts and recommendations", insight_shapes.Predictive,
        params=(
            whole("windowDays", "Days of the daily forecast", 1, 90, 30),
            one_of("type", "recommendations: as objects", "forecast", "alerts", "recommendations"),
        ),
    ),
    "insights.analyse_cost": Operation(
        LOOK, "What a prompt is likely to cost; nothing of it is kept", insight_shapes.CostAnalysis,
        insights.CostQuestion, example={"prompt": "Hello, how are you?", "model": "gpt-5.4", "provider": "openai"},
    ),
    "insights.get_savings": Operation(
        LOOK, "What routing and caching saved", insight_shapes.SavingsAnswer, params=of.SPAN
    ),
    "prompts.list_prompts": Operation(
        LOOK, "Prompts, the dearest first", prompt_shapes.Prompts, files=True,
        params=(*of.SPAN, *of.USED, whole("limit", "Rows of a page", 1, 1_000, 100), of.CURSOR),
    ),
    "prompts.get_prompt": Operation(
        LOOK, "A prompt's versions side by side", prompt_shapes.PromptAnswer, params=(*of.SPAN, *of.USED),
        also={404: ApiError},
    ),
    "prompts.optimize": Operation(
        ROUTE, "The same prompt with fewer tokens; nothing of it is kept", routing_shapes.OptimizedPrompt,
        prompts.PromptToOptimize, example={"prompt": "Could you please   summarize this?"},
    ),
    "runs.list_runs": Operation(
        LOOK, "Runs, the newest first", ledger.RunList, files=True,
        params=(
            *of.SPAN, *of.USED, of.PROMPT, Parameter("sessionId", "A session"),
            one_of("success", "Succeeded or failed", "true", "false"),
            one_of("state", "Link state", *of.STATES),
            one_of("reason", "Why it is not linked", "no_repo", "no_person", "no_candidate", "rejected"),
            one_of("priced", "With or without a price", "true", "false"),
            whole("limit", "Runs of a page; as a file, of all", 1, 1_000, 100), of.CURSOR,
        ),
    ),
    "runs.get_run": Operation(
        LOOK, "One run: its price line by line, its links with their evidence", ledger.RunAnswer, also={404: ApiError}
    ),
    "runs.decide": Operation(
        SHIP, "Confirm, reject, move or split a run's link, or undo that", ledger.RunDecided,
        runs.LinkDecision, also={404: ApiError},
        scope="read ingest", example={"action": "confirm", "prNumber": 12},
    ),
    "runs.list_links": Operation(
        SHIP, "Links with rule, confidence and evidence", ledger.LinkList, files=True,
        params=(
            of.REPO, of.TEAM, one_of("state", "Of the link", "counted", "suggested", "rejected"),
            Parameter("run", "Links of one run"), whole("limit", "Links of a page", 1, 1_000, 100), of.CURSOR,
        ),
    ),
    "linking.get_linking": Operation(
        SHIP, "The rules of linking, and how they prove themselves here", linking.LinkingAnswer
    ),
    "roi.get_summary": Operation(SHIP, "ROI of the organization", roi.RoiSummary, params=(*of.SPAN, *of.WHO)),
    "roi.get_repositories": Operation(
        SHIP, "ROI by repository", roi.RoiByRepository,
        params=(*of.SPAN, *of.WHO, one_of("format", "As CSV", "json", "csv")),
    ),
    "roi.get_teams": Operation(
        SHIP, "ROI by team", roi.RoiByTeam, params=(*of.SPAN, *of.WHO, one_of("format", "As CSV", "json", "csv"))
    ),
    "roi.get_pull_requests": Operation(
        SHIP, "Pull requests with counted runs, the latest first or as `sort` says", roi.PullRequests, files=True,
        params=(
            *of.SPAN, *of.WHO, one_of("outcome", "One outcome", "merged", "open", "abandoned", "reverted", "closed"),
            one_of("ai", "By the sign of AI; declared and none_seen have no counted runs", "linked", "declared",
                   "none_seen"),
            one_of("sort", "By merge or creation, AI cost, runs or cycle time", "ended", "cost", "runs", "cycle"),
            one_of("direction", "Least or greatest first", "asc", "desc"),
            whole("limit", "Rows of a page", 1, 100, 100), of.CURSOR,
        ),
    ),
    "roi.get_pull_request": Operation(
        SHIP, "One pull request: what it cost, run by run", roi.PullRequestAnswer, also={404: ApiError}
    ),
    "roi.mark_pull_request": Operation(
        SHIP, "Say that a pull request was made with AI, or by hand", roi.PullRequestAnswer, roi_api.Mark,
        also={404: ApiError}, scope="read ingest", example={"as": "ai"},
    ),
    "returns.get_assumptions": Operation(
        SHIP, "What is assumed of the return on AI, by the day from which it holds", report_shapes.AssumptionsAnswer,
        params=(of.TEAM,),
    ),
    "returns.set_assumptions": Operation(
        SHIP, "Set assumptions from a day on", report_shapes.AssumptionsAnswer, reports.AssumptionsBody, scope="admin",
        also={404: ApiError},
        example={
            "since": "2026-01-01", "hourlyCost": 95, "seatsPerMonth": 1200,
            "hoursSaved": {"low": 0.2, "mid": 0.5, "high": 1}, "recapture": {"low": 0.5, "mid": 0.75, "high": 1},
        },
    ),
    "returns.get_estimate": Operation(
        SHIP, "What AI may be worth, as a range, or why that is refused", report_shapes.EstimateAnswer,
        params=(*of.SPAN, *of.WHO),
    ),
    "returns.get_comparison": Operation(
        SHIP, "AI-assisted against other pull requests, matched; a year unless told otherwise",
        report_shapes.ComparisonAnswer, params=(*of.SPAN, of.TEAM, of.REPO),
    ),
    "returns.list_reports": Operation(
        SHIP, "Kept reports, the newest first", report_shapes.ReportList,
        params=(
            of.TEAM, of.REPO, one_of("kind", "One kind", "day", "week", "month", "asked"),
            one_of("scope", "organization: only its own", "organization", "team", "repository"),
            Parameter("startDate", "Of exactly these days: the first, with endDate", of.DATE),
            Parameter("endDate", "The last of them", of.DATE),
            whole("limit", "Reports of a page", 1, 200, 50), of.CURSOR,
        ),
    ),
    "returns.ask_report": Operation(
        SHIP, "Have a report made, or find the one of the same days that was", report_shapes.AskedReport,
        reports.ReportBody, also={202: report_shapes.AskedReport, 404: ApiError}, scope="read ingest",
        example={"startDate": "2026-10-01", "endDate": "2026-10-31"},
    ),
    "returns.get_report": Operation(
        SHIP, "A kept report, byte for byte as it was made", report_shapes.ReportShape, also={404: ApiError},
        params=(one_of("format", "Its table as CSV", "json", "csv"),),
    ),
    "routing.route_with_context": Operation(
        ROUTE, "The cheapest model that is good enough for a prompt", routing_shapes.RoutingAnswer,
        routing.ContextQuestion,
        example={
            "prompt": "Summarize this research paper...",
            "preferences": {"priority": "quality", "maxLatencyMs": 3000, "qualityRequirement": "high"},
        },
    ),
    "routing.get_routing": Operation(ROUTE, "Whether routing is on", routing_shapes.RoutingState),
    "routing.route_prompt": Operation(
        ROUTE, "A decision for `prompt`; with `enabled`, routing on or off",
        (routing_shapes.RoutingAnswer, routing_shapes.RoutingState), routing.RoutingQuestion,
        example={"prompt": "Translate this", "options": {"maxCost": 0.01}},
    ),
    "routing.set_enforcement": Operation(
        ROUTE, "Model enforcement on or off", routing_shapes.RoutingState, routing.Enforcement, scope="ingest",
        example={"enforceModel": True},
    ),
    "routing.set_quality": Operation(
        ROUTE, "What an answer must reach", routing_shapes.QualityValidatorAnswer, routing.QualitySettings,
        scope="ingest", example={"qualityValidator": {"threshold": 0.7, "enabled": True, "metrics": ["completeness"]}},
    ),
    "routing.judge_answer": Operation(
        ROUTE, "A quick look at an answer by simple rules; it is not kept", routing_shapes.QualityAnswer,
        routing.AnswerToJudge, example={"response": "Paris is the capital of France."},
    ),
    "routing.give_feedback": Operation(
        ROUTE, "Rate a run, or the choice of a model", Done, routing.Feedback, scope="ingest", also={404: ApiError},
        example={"originalModel": "gpt-5.4", "selectedModel": "gpt-5.4-mini", "qualityRating": 5, "wasHelpful": True},
    ),
    "providers.get_configs": Operation(ROUTE, "The organization's providers", routing_shapes.ProviderConfigs),
    "providers.set_configs": Operation(
        ROUTE, "Replace the providers", routing_shapes.ProviderConfigs, providers.Configs, scope="ingest",
        example=[{"provider": "openai", "weight": 70, "minQuality": 0.8, "enabled": True}],
    ),
    "providers.list_keys": Operation(ROUTE, "Which providers have a key", routing_shapes.ProviderKeys),
    "providers.add_key": Operation(
        ROUTE, "Store a provider's key, encrypted", Done, providers.ProviderKeyBody, scope="ingest",
        example={"provider": "openai", "apiKey": "sk-…your key…"},
    ),
    "cache.get_cached": Operation(
        ROUTE, "A kept answer to exactly this question", (routing_shapes.CacheHit, routing_shapes.CacheMiss),
        cache.CacheQuestion, scope="ingest",
        example={"provider": "openai", "model": "gpt-5.4", "messages": [{"role": "user", "content": "Hi"}]},
    ),
    "cache.set_cached": Operation(
        ROUTE, "Keep an answer, where the organization turned its cache on", routing_shapes.CacheStored,
        cache.CacheEntry, scope="ingest",
        example={
            "provider": "openai", "model": "gpt-5.4", "messages": [{"role": "user", "content": "Hi"}],
            "response": {"choices": []}, "tokens": 12, "cost": 0.0001, "ttl": 3600,
        },
    ),
    "cache.get_stats": Operation(
        ROUTE, "Hits, misses and what they saved", routing_shapes.CacheStats,
        params=(whole("days", "The last so many days", 1, 1_830, 30),),
    ),
    "cache.get_settings": Operation(ROUTE, "Whether the cache is on", routing_shapes.CacheSettings),
    "cache.set_settings": Operation(
        ROUTE, "Turn the cache on, or off and empty", routing_shapes.CacheSettings, cache.CacheSwitch, scope="admin",
        example={"enabled": True},
    ),
    "prices.list_models": Operation(
        PRICE, "Models in use with their prices; `priced=false`: those without one", price_shapes.Models, files=True,
        params=(
            *of.SPAN, *of.USED,
            one_of("priced", "With or without a price", "true", "false"),
        ),
    ),
    "prices.list_own_prices": Operation(PRICE, "The organization's own prices", price_shapes.OwnPrices),
    "prices.set_price": Operation(
        PRICE, "Set a price or an alias; `backfill` prices stored runs anew", price_shapes.PriceSet, prices.PriceBody,
        scope="admin",
        example={"provider": "openai", "model": "house-model", "rates": {"inputUncached": 2.5, "outputText": 10}},
    ),
    "prices.remove_price": Operation(
        PRICE, "Remove one of the organization's own prices", Done, scope="admin", also={404: ApiError}
    ),
    "prices.reprice_runs": Operation(
        PRICE, "What the prices of now would change; with `apply`, change it", price_shapes.Repriced,
        prices.RepriceBody, also={202: price_shapes.Repriced}, example={"model": "gpt-5.4", "apply": False},
    ),
    "prices.get_list_prices": Operation(
        PRICE, "The list prices in use", price_shapes.ListPrices, scope=None, params=(of.PROVIDER,)
    ),
    "identities.list_people": Operation(
        WHO, "People with their identities, the dearest first", people_shapes.PeopleAnswer,
        params=(
            Parameter("q", "Part of a name or identity"), whole("limit", "Rows of a page", 1, 1_000, 100), of.CURSOR,
        ),
    ),
    "identities.list_suggestions": Operation(
        WHO, "Who may be one human, who runs but ships nothing, and keys that name nobody", people_shapes.Suggestions
    ),
    "identities.get_person": Operation(
        WHO, "One person with what names each identity", people_shapes.PersonAnswer, also={404: ApiError}
    ),
    "identities.merge": Operation(
        WHO, "Make two people one, the older; every sync keeps it so", people_shapes.Merged, people.PairBody,
        scope="admin", also={404: ApiError}, example={"people": [12, 31]},
    ),
    "identities.dismiss": Operation(
        WHO, "Keep that two people are not the same", Done, people.PairBody,
        scope="admin", also={404: ApiError}, example={"people": [12, 31]},
    ),
    "identities.split": Operation(
        WHO, "Make some identities of a person a person of their own", people_shapes.Split, people.SplitBody,
        scope="admin", also={404: ApiError},
        example={"person": 12, "identities": [{"kind": "email", "value": "alice@home.example"}]},
    ),
    **ORGANIZATION,
    "health.get_health": Operation(SERVER, "Whether the process is alive", ledger.Alive, scope=None),
    "health.get_ready": Operation(
        SERVER, "Whether runs can be stored, and what else works", ledger.Ready, scope=None, also={503: ledger.Ready}
    ),
    "metrics.get_metrics": Operation(
        SERVER, "Figures for Prometheus, to the bearer of COSTLENS_METRICS_TOKEN; 404 where that is not set", str,
        scope=None, told_as="text/plain", also={401: ApiError, 404: ApiError},
    ),
}  # fmt: skip
