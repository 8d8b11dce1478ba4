"""What every template can use: the formats as filters, the navigation, and strictness about unknown names."""

from __future__ import annotations

from flask import Flask
from jinja2 import StrictUndefined

from costlens.web.formats import FILTERS
from costlens.web.ui.filters import PERIODS
from costlens.web.ui.nav import PAGES, organization_url, page_url
from costlens.web.ui.usage import cost_of, latency_of, path_part, per_run, per_thousand, rate, short


def set_up_templates(app: Flask) -> None:
    """Register filters and globals on the application's Jinja environment."""
    env = app.jinja_env
    env.undefined = StrictUndefined
    env.trim_blocks = env.lstrip_blocks = True
    env.filters.update(FILTERS)
    for own in (per_run, per_thousand, cost_of, latency_of, path_part, rate, short):
        env.filters[own.__name__] = own
    env.globals.update(nav_pages=PAGES, page_url=page_url, organization_url=organization_url, filter_periods=PERIODS)
