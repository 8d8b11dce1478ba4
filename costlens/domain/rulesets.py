"""Rulesets that an organization makes for itself: what may be set, and each rule in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from costlens.domain.errors import InvalidInput
from costlens.domain.link_rules import RULESET_V1
from costlens.domain.links import Ruleset, Stance

LEAST, MOST = 500, 1000  # thresholds in permille: below a half a link is more likely wrong than right

# Each rule as the evidence that it asks for, in the order in which they win.
MEANINGS: Mapping[str, str] = {
    "M1": "A person confirmed the link, or moved it there.",
    "X1": "A commit trailer or a pull request's description names the run's id.",
    "X2": "The run names the pull request's number.",
    "X3": "The run says that it made the commit.",
    "S1": "A commit trailer or a description names the run's session, and the commit follows the run.",
    "S2": "A git-ai note attests lines of the commit to the run's session.",
    "B1": "The run was on the pull request's branch, and its person wrote commits of it.",
    "C1": "The run names no work of its own, and its session has linked runs within four hours.",
    "T1": "On the default branch: the person's next commit comes within two hours and changes the same files.",
    "B3": "The run was on the pull request's branch, and nobody knows whose run it was.",
    "P1": "The person's next commit within a week names the run's prompt in a trailer.",
    "D1": "The run started from a commit that one open pull request of the person holds.",
    "T2": "The person's next commit comes within a day and changes the same files.",
    "T3": "The person's next commit comes within two hours and changes other files.",
    "B2": "The run was on the branch, but the work is another person's: never a link.",
}
FIXED = ("M1", "X1", "X2", "X3", "B2")  # a person's word, explicit ids, and what never links


def make_ruleset(version: int, threshold: int, stances: Mapping[str, str]) -> Ruleset:
    """The delivered rules with an organization's threshold and stances. Raises InvalidInput."""
    if not LEAST <= threshold <= MOST:
        raise InvalidInput(f"The threshold lies between {LEAST / 1000:.2f} and {MOST / 1000:.2f}", field="threshold")
    for rule, stance in stances.items():
        if rule not in MEANINGS or rule in FIXED:
            raise InvalidInput(f"{rule[:20]!r} is no rule that can be set", field=rule[:20])
        if stance not in list(Stance):
            raise InvalidInput(f"{rule} is counted, suggested or off, not {stance[:20]!r}", field=rule)
    own = {rule: Stance(stance) for rule, stance in stances.items()}
    return replace(RULESET_V1, version=version, threshold=threshold, stances=own)
