"""Who may do what: the one table of permissions. Every page names one of them, every route of the API names a scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from costlens.domain.errors import Forbidden, InvalidInput

ROLES = ("owner", "admin", "member")  # from the one who may most

_EVERYBODY = frozenset(ROLES)
_KEEPERS = frozenset({"owner", "admin"})
_OWNERS = frozenset({"owner"})

# Permission → the roles that have it.
PERMISSIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "see_reports": _EVERYBODY,  # figures, runs, pull requests
        "see_own_usage": _EVERYBODY,
        "see_people": _EVERYBODY,  # members with their roles and teams
        "correct_links": _EVERYBODY,  # of runs, what is code, AI or manual: all of it is told of and can be undone
        "leave": _EVERYBODY,
        "manage_own_account": _EVERYBODY,  # sessions, password, name
        "use_keys": _EVERYBODY,  # personal keys of one's own
        "manage_people": _KEEPERS,  # invite, remove, change roles below owner
        "manage_teams": _KEEPERS,
        "manage_keys": _KEEPERS,  # shared keys, and everybody's
        "manage_github": _KEEPERS,  # the connection and its repositories
        "manage_prices": _KEEPERS,  # the organization's own prices, and pricing stored runs anew
        "manage_organization": _KEEPERS,  # name, time zone, hourly cost
        "see_audit_log": _KEEPERS,
        "export_organization": _KEEPERS,  # everything of it as one file
        "manage_owners": _OWNERS,  # make, remove and invite owners
        "manage_sign_in": _OWNERS,  # whose members may come by themselves; links to new passwords
        "manage_demo": _OWNERS,
        "manage_linking": _OWNERS,  # the rules by which runs are linked
        "create_organization": _OWNERS,
        "delete_organization": _OWNERS,
    }
)

# Scope of an API key → what calls with it may do.
SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "ingest": "send runs",
        "read": "read runs and reports",
        "admin": "change settings",
    }
)

_WORDS = {
    "see_audit_log": "see the audit log",
    "export_organization": "export the organization",
    "use_keys": "use API keys",
    "manage_people": "manage people",
    "manage_teams": "manage teams",
    "manage_keys": "manage the keys of others",
    "manage_github": "change the connection with GitHub",
    "manage_prices": "change prices",
    "manage_organization": "change the organization",
    "manage_owners": "make, change or remove owners",
    "manage_sign_in": "change who may sign in",
    "manage_linking": "change the rules of linking",
    "manage_demo": "load and remove the demo organization",
    "create_organization": "make another organization",
    "delete_organization": "delete the organization",
}


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in an organization, as the one who does something."""

    organization_id: int
    member_id: int
    user_id: int
    email: str
    role: str
    key: str | None = None  # the name of the API key that it acts with. None: on the pages

    def may(self, permission: str) -> bool:
        """Whether the role has a permission. Raises KeyError for one that is not in the table."""
        return may(self.role, permission)

    def must(self, permission: str) -> None:
        """Raises Forbidden where the role does not have the permission."""
        if not self.may(permission):
            holders = " or ".join(role for role in ROLES if role in PERMISSIONS[permission])
            raise Forbidden(f"Only an {holders} of the organization may {_WORDS.get(permission, 'do that')}")


def may(role: str, permission: str) -> bool:
    """Whether a role has a permission. Raises KeyError for one that is not in the table."""
    return role in PERMISSIONS[permission]


def check_role(text: str) -> str:
    """The role of this name. Raises InvalidInput (field `role`)."""
    if text not in ROLES:
        raise InvalidInput(f"A role is one of {', '.join(ROLES)}", field="role")
    return text


def scopes_of(role: str) -> frozenset[str]:
    """The scopes that a personal key of this role can have: it may never do more than its member."""
    return frozenset(SCOPES) if role in _KEEPERS else frozenset({"ingest", "read"})


def check_scopes(scopes: Iterable[str], role: str | None) -> str:
    """Scopes as they are stored, for a key of a member (None: a shared key). Raises InvalidInput, Forbidden."""
    wanted = set(scopes)
    if not wanted or wanted - SCOPES.keys():
        raise InvalidInput(f"scopes are some of {', '.join(SCOPES)}", field="scopes")
    if role is not None and wanted - scopes_of(role):
        raise Forbidden("A member's key cannot have the scope admin")
    return " ".join(scope for scope in SCOPES if scope in wanted)
