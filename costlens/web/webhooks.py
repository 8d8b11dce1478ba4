"""The door for GitHub's webhooks: checked, noted, answered; the work is a job's."""

from __future__ import annotations

from flask import Blueprint, Response, request

from costlens.domain.errors import TooLarge
from costlens.github.webhooks import MAX_BODY
from costlens.services import github_hooks
from costlens.services.sealing import box
from costlens.web.answers import json_answer
from costlens.web.context import context


def blueprint() -> Blueprint:
    """The webhook route."""
    routes = Blueprint("webhooks", __name__)
    routes.post("/webhooks/github/<hook_id>")(github)
    return routes


def github(hook_id: str) -> Response:
    """Takes one delivery. 202 means noted; it is GitHub's to send what got another answer again."""
    request.max_content_length = MAX_BODY
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge(f"The body is larger than the limit of {MAX_BODY} bytes")
    organization_id, news = github_hooks.receive(
        context().store,
        box(context().settings),
        hook_id,
        request.get_data(cache=False),
        signature=request.headers.get("X-Hub-Signature-256"),
        content_type=request.mimetype,
        event=request.headers.get("X-GitHub-Event", ""),
        guid=request.headers.get("X-GitHub-Delivery", ""),
    )
    if news:  # else it was processed already, or is a ping
        context().queue.run_soon("workers.sync.process_deliveries", organization_id)
    return json_answer({"status": "noted" if news else "known"}, 202)
