"""The settings of an organization and of one's own account; every module here brings the blueprint of one area."""

from costlens.web.ui.settings import (
    account,
    assumptions,
    audit,
    identities,
    inviting,
    keys,
    linking,
    organization,
    people,
    teams,
    usage,
)

SETTINGS = (
    *(people, inviting, identities, teams, keys, usage, account),
    *(linking, organization, assumptions, audit),
)
