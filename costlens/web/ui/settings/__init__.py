"""The settings of an organization and of one's own account; every module here brings the blueprint of one area."""

from costlens.web.ui.settings import account, assumptions, audit, inviting, keys, organization, people, teams, usage

SETTINGS = (people, inviting, teams, keys, usage, account, organization, assumptions, audit)
