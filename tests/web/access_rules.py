"""Who may call each route: the one table that tests/web/test_access.py tries on everything in the URL map.

A new route needs one line here, in API, PAGES or OPEN; a test fails until it has it. Names are those of Flask's
endpoints, without the prefix that tells `/x` from `/api/x`.
"""

from __future__ import annotations

from dataclasses import dataclass

# The scopes that each route of the API asks for.
API: dict[str, set[str]] = {
    "integrations.track_run": {"ingest"},
    "integrations.track_instant": {"ingest"},
    "integrations.track_batch": {"ingest"},
    "integrations.import_runs": {"ingest"},
    "otlp.take_traces": {"ingest"},
    "otlp.take_logs": {"ingest"},
    "otlp.take_metrics": {"ingest"},
    "analytics.get_overview": {"read"},
    "analytics.get_usage": {"read"},
    "runs.list_runs": {"read"},
    "runs.get_run": {"read"},
    "runs.decide": {"read", "ingest"},
    "runs.list_links": {"read"},
    "linking.get_linking": {"read"},
    "roi.get_repositories": {"read"},
    "roi.get_teams": {"read"},
    "roi.get_summary": {"read"},
    "roi.get_pull_requests": {"read"},
    "roi.get_pull_request": {"read"},
    "roi.mark_pull_request": {"read", "ingest"},
    "returns.get_assumptions": {"read"},
    "returns.set_assumptions": {"admin"},
    "returns.get_estimate": {"read"},
    "returns.get_comparison": {"read"},
    "returns.list_reports": {"read"},
    "returns.ask_report": {"read", "ingest"},
    "returns.get_report": {"read"},
    "insights.get_dashboard": {"read"},
    "insights.get_predictive": {"read"},
    "insights.analyse_cost": {"read"},
    "insights.get_savings": {"read"},
    "routing.route_with_context": {"read"},
    "routing.get_routing": {"read"},
    "routing.route_prompt": {"read"},  # and ingest, to turn routing on or off
    "routing.set_enforcement": {"ingest"},
    "routing.set_quality": {"ingest"},
    "routing.judge_answer": {"read"},
    "routing.give_feedback": {"ingest"},
    "providers.get_configs": {"read"},
    "providers.set_configs": {"ingest"},
    "providers.list_keys": {"read"},
    "providers.add_key": {"ingest"},
    "cache.get_cached": {"ingest"},
    "cache.set_cached": {"ingest"},
    "cache.get_stats": {"read"},
    "cache.get_settings": {"read"},
    "cache.set_settings": {"admin"},
    "prompts.optimize": {"read"},
    "prompts.list_prompts": {"read"},
    "prompts.get_prompt": {"read"},
    "prices.list_models": {"read"},
    "prices.list_own_prices": {"read"},
    "prices.set_price": {"admin"},
    "prices.remove_price": {"admin"},
    "prices.reprice_runs": {"read"},  # and admin, to apply it
    "identities.list_people": {"read"},
    "identities.list_suggestions": {"read"},
    "identities.get_person": {"read"},
    "identities.merge": {"admin"},
    "identities.dismiss": {"admin"},
    "identities.split": {"admin"},
    "teams.list_teams": {"read"},
    "teams.get_team": {"read"},
    "teams.create": {"admin"},
    "teams.change": {"admin"},
    "teams.delete": {"admin"},
    "teams.set_members": {"admin"},
    "teams.set_repositories": {"admin"},
    "members.list_members": {"read"},
    "members.change": {"admin"},
    "members.remove": {"admin"},
    "members.list_invitations": {"admin"},
    "members.invite": {"admin"},
    "members.renew": {"admin"},
    "members.revoke": {"admin"},
    "issued_keys.list_keys": {"read"},
    "issued_keys.create": {"admin"},
    "issued_keys.change": {"admin"},
    "issued_keys.rotate": {"admin"},
    "issued_keys.revoke": {"admin"},
    "audit_log.list_entries": {"admin"},
    "whole.export": {"admin"},
}
# Routes that take the personal key of a member, who has the rights of a role: shared keys get 403.
PERSONAL = {
    "issued_keys.list_keys",
    *(name for name in API if API[name] == {"admin"} and name.startswith(("teams.", "members.", "issued_keys."))),
    "audit_log.list_entries",
    "whole.export",
}
# What a call without a body answers where it is allowed, if it is neither done nor a 400.
ABSENT = {
    "integrations.import_runs": 207,
    "prices.remove_price": 404,
    "prompts.get_prompt": 404,
    "identities.get_person": 404,
    "returns.get_report": 404,
    "teams.get_team": 404,
    "teams.delete": 404,
    "teams.set_members": 404,
    "teams.set_repositories": 404,
    "members.remove": 404,
    "members.renew": 404,
    "members.revoke": 404,
    "issued_keys.revoke": 404,
    "issued_keys.rotate": 404,
}
AWAY = {"cache.get_stats", "returns.ask_report"}  # there is no Redis here
# Reads that take a team and a repository as filters.
NARROWED = {
    "analytics.get_overview",
    "runs.list_runs",
    "runs.list_links",
    "prompts.list_prompts",
    "prompts.get_prompt",
    "prices.list_models",
    "roi.get_summary",
    "roi.get_repositories",
    "roi.get_teams",
    "roi.get_pull_requests",
    "returns.get_estimate",
    "returns.get_comparison",
    "returns.list_reports",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page below an organization: who may see it, and what it answers them.

    Another organization's people get 404 and nobody at all is sent to sign in, whatever stands here.
    """

    roles: tuple[str, ...] = ("owner", "admin", "member")  # the others of the organization get 403
    status: int = 200
    form: tuple[tuple[str, str], ...] = ()  # what a POST needs to get as far as that status
    ends: bool = False  # the caller's session is over afterwards


OWNER, KEEPERS = ("owner",), ("owner", "admin")
SAVED = 303  # a form leads back to its page, which says what came of it; here every id is one that nothing has
# A queue that is away answers forms that need it with 503, and only after the check of the role.
PAGES: dict[str, Page] = {
    "overview.overview_page": Page(),
    "roi.repositories": Page(),
    "roi.teams": Page(),
    "pull_list.pulls_page": Page(),
    "pull.pull_page": Page(status=404),  # there is no number 1 of acme/web at first
    "repository.repository_page": Page(),
    "repository.unlinked_page": Page(),
    "corrections.decide": Page(status=SAVED),
    "corrections.mark": Page(status=404),
    "run_pages.runs_page": Page(),
    "run_pages.run_page": Page(),
    "run_pages.search_page": Page(),
    "prompt_pages.prompts_page": Page(),
    "prompt_pages.prompt_page": Page(),
    "model_pages.models_page": Page(),
    "price_pages.prices_page": Page(),
    "price_pages.preview_price": Page(KEEPERS, 400),  # nothing is asked
    "price_pages.set_price": Page(KEEPERS, 400),
    "price_pages.preview_removal": Page(KEEPERS, 404),
    "price_pages.remove_price": Page(KEEPERS, 404),
    "price_pages.preview_repricing": Page(KEEPERS),
    "price_pages.reprice_runs": Page(KEEPERS, SAVED),
    "returns.estimate_page": Page(),
    "returns.comparison_page": Page(),
    "team_reports.list_page": Page(),
    "team_reports.progress": Page(),
    "team_reports.make": Page(status=503),
    "team_reports.subscribe": Page(status=SAVED),
    "team_reports.report_page": Page(status=404),
    "start.first_page": Page(),
    "start.first_run": Page(),
    "demo.show": Page(OWNER),
    "demo.progress": Page(OWNER),
    "demo.load": Page(OWNER, 503),
    "demo.remove": Page(OWNER, 404, (("confirm", "yes"),)),  # there is no demo organization to remove
    "people.people_page": Page(),
    "people.change_role": Page(KEEPERS, SAVED),
    "people.remove": Page(KEEPERS, 404),  # everybody may remove themselves, see tests/web/ui/test_people.py
    "inviting.invite": Page(KEEPERS, SAVED),
    "inviting.renew": Page(KEEPERS, SAVED),
    "inviting.revoke": Page(KEEPERS, SAVED),
    "inviting.allow": Page(OWNER, SAVED),
    "inviting.disallow": Page(OWNER, SAVED),
    "team_settings.teams_page": Page(),
    "team_settings.team_page": Page(status=404),
    "team_settings.create": Page(KEEPERS, SAVED),
    "team_settings.change": Page(KEEPERS, SAVED),
    "team_settings.set_members": Page(KEEPERS, SAVED),
    "team_settings.set_repositories": Page(KEEPERS, SAVED),
    "team_settings.delete": Page(KEEPERS, SAVED),
    "keys.keys_page": Page(),
    "keys.new_key_page": Page(),
    "keys.create": Page(status=400),
    "keys.rotate": Page(status=SAVED),
    "keys.pause": Page(status=SAVED),
    "keys.resume": Page(status=SAVED),
    "keys.revoke": Page(status=SAVED),
    "own_usage.usage_page": Page(),
    "account.account_page": Page(),
    "account.set_name": Page(status=SAVED),
    "account.change_password": Page(status=SAVED),
    "account.end_session": Page(status=SAVED),
    "account.end_all": Page(status=SAVED, ends=True),
    "account.join_github": Page(status=404),  # no sign-in with GitHub
    "account.part_from_github": Page(status=SAVED),
    "account.password_link": Page(OWNER, SAVED),
    "organization.organization_page": Page(KEEPERS),
    "organization.change": Page(KEEPERS, SAVED),
    "organization.create": Page(OWNER, SAVED),
    "organization.delete": Page(OWNER, SAVED),
    "assumptions.assumptions_page": Page(KEEPERS),
    "assumptions.save": Page(KEEPERS, SAVED),
    "assumptions.remove": Page(KEEPERS, SAVED),
    "audit.audit_log": Page(KEEPERS),
    "linking.linking_page": Page(),
    "linking.propose": Page(OWNER, SAVED),
    "linking.use_again": Page(OWNER, SAVED),
    "linking.apply": Page(OWNER, SAVED),
    "linking.discard": Page(OWNER, SAVED),
    "linking.test": Page(OWNER, SAVED),
    "identity_settings.people_page": Page(),
    "identity_settings.person_page": Page(status=404),
    "identity_settings.merge": Page(KEEPERS, SAVED),
    "identity_settings.dismiss": Page(KEEPERS, SAVED),
    "identity_settings.split": Page(KEEPERS, SAVED),
    "github.page": Page(),
    "github.begin_app": Page(KEEPERS),
    "github.created": Page(KEEPERS, 400),  # nothing was begun
    "github.connect_token": Page(KEEPERS, 400),  # no token
    "github.authorize": Page(KEEPERS, 404),  # no OAuth App
    "github.authorized": Page(KEEPERS, 400),  # nothing was begun
    "github.choose": Page(KEEPERS, SAVED),
    "github.installed": Page(KEEPERS, 404),  # from here: nothing is connected
    "github.look_again": Page(KEEPERS, 404),
    "github.assign": Page(KEEPERS, 404),
    "github.read_again": Page(KEEPERS, 404),
    "github.set_comments": Page(KEEPERS, 404),
    "github.try_comments": Page(KEEPERS, 404),
    "github.delete_comments": Page(KEEPERS, 404),
    "github.change_secret": Page(KEEPERS, 404),
    "github.disconnect": Page(KEEPERS, 404),
}

# Routes outside any organization, each with the reason why it is open to anybody.
OPEN: dict[str, str] = {
    "static": "the pages' own files",
    "docs.get_document": "describes the routes, and nobody",
    "docs.docs_page": "the same as a page",
    "docs.errors_page": "the same of the error codes",
    "prices.get_list_prices": "list prices, which say nothing of anybody",
    "health.get_health": "says only that the process is alive",
    "health.get_ready": "says only whether runs can be stored",
    "metrics.get_metrics": "off, or the token of the settings is the secret",
    "webhooks.github": "the signature is the secret",
    "unsubscribe.show_unsubscribe": "the token is the secret",
    "unsubscribe.unsubscribe": "the token is the secret",
    "accounts.home": "redirects to sign-in",
    "sign_in.sign_in_page": "where signing in begins",
    "sign_in.with_password": "the password is the secret, and attempts are counted",
    "sign_in.forgotten_page": "a form",
    "sign_in.forgotten": "says the same of every address, and attempts are counted",
    "sign_in.new_password_page": "the token is the secret",
    "sign_in.new_password": "the token is the secret",
    "sign_in.to_github": "sends the browser to GitHub",
    "sign_in.from_github": "the state is the browser's own, the code is GitHub's word",
    "invitations.show": "the token is the secret",
    "invitations.join": "the token is the secret",
    "invitations.accept": "the token is the secret, and the account must be the invited one",
    "accounts.use_link": "the token is the secret",
    "accounts.sign_out": "ends the caller's own session",
    "accounts.set_up_form": "the token is the secret",
    "accounts.set_up": "the token is the secret",
}

# Routes outside any organization for whoever is signed in.
SIGNED_IN = {"styleguide.styleguide_page"}
