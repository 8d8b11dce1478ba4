"""The ROI pages, filled with this server's data."""

from __future__ import annotations

from flask import Blueprint

from costlens.domain.roi import Filters, RoiReport, Window
from costlens.services import reports
from costlens.web.context import context
from costlens.web.ui import start
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.roi import RoiFilters, roi_blueprint


def roi_pages() -> Blueprint:
    """ROI by repository and by team."""
    routes = roi_blueprint(lambda slug: frame(slug).nav, load_roi, start.first_page)
    routes.before_request(signed_in)
    return routes


def load_roi(slug: str, scope: str, span: Window, filters: RoiFilters) -> RoiReport:
    """The report of a page. Raises NotFound for an organization that is not the user's."""
    organization = frame(slug).organization
    chosen = Filters(team_id=filters.team, provider=filters.provider, repository_id=filters.repository)
    return reports.roi_report(context().store, organization.id, scope, window=span, filters=chosen)
