"""The settings of an organization and of one's own account; every module here brings the blueprint of one area."""

from costlens.web.ui.settings import audit, keys, people, teams, usage

SETTINGS = (people, teams, keys, usage, audit)
