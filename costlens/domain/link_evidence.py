"""Evidence of a link: a small JSON-safe record, and the sentence that shows it to a reader."""

from __future__ import annotations

from collections.abc import Mapping

from costlens.domain.link_rules import Candidate
from costlens.domain.links import Ruleset, RunFact

_FILES_KEPT = 10  # evidence is stored per run: a few file names convince as well as fifty

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))

_CLAIMS = {
    "M1": "confirmed by {matched}",
    "X1": "run id `{matched}` in the {targetField}",
    "X2": "the run names pull request #{matched}",
    "X3": "the run made commit `{short}`",
    "S1": "session `{matched}` in the {targetField}",
    "S2": "lines of session `{matched}` in the {targetField}",
    "B1": "same branch `{matched}`",
    "B2": "same branch `{matched}`, but the work of another person",
    "B3": "same branch `{matched}`, person of the run unknown",
    "C1": "neighbour in session `{matched}`",
    "P1": "prompt `{matched}` in the {targetField}",
    "T1": "the next commit of the same person changes the same files",
    "T2": "the next commit of the same person, within a day, changes the same files",
    "T3": "the next commit of the same person, which changes other files",
    "D1": "started from commit `{short}` of the person's open pull request",
}


def describe(run: RunFact, candidate: Candidate, ruleset: Ruleset) -> dict[str, object]:
    """The evidence record of a candidate; `confidence` is permille, keys without a value are left out."""
    commit = candidate.target.commit
    record: dict[str, object] = {
        "rule": candidate.rule,
        "ruleset": ruleset.version,
        "confidence": ruleset.confidence[candidate.rule],
        "runField": candidate.run_field,
        "targetField": candidate.target_field,
        "matched": candidate.matched,
    }
    if candidate.delta is not None:
        record["deltaSeconds"] = candidate.delta
    if candidate.same_person:
        record["person"] = run.person_id
    if candidate.files:
        record["files"] = sorted(candidate.files)[:_FILES_KEPT]
        record["filesShared"] = len(candidate.files)
    if commit is not None:
        record["sha"] = commit.sha
    if candidate.target.orphaned:
        record["orphaned"] = True
    return record


def sentence(evidence: Mapping[str, object]) -> str:
    """The evidence as one readable line, such as "same branch `x`, same author, 2 hours before the commit (B1, 0.90)".

    A person's rejection is told first; a record of an unknown rule is shown by its name.
    """
    rule = str(evidence.get("rule", ""))
    words = {"matched": evidence.get("matched", ""), "targetField": evidence.get("targetField", "")}
    parts = [_CLAIMS.get(rule, rule).format(**words, short=str(evidence.get("sha") or evidence.get("matched", ""))[:7])]
    if evidence.get("rejectedBy"):
        parts.insert(0, f"rejected by {evidence['rejectedBy']}")
    if rule in ("B1", "P1") and evidence.get("person") is not None:
        parts.append("same author")
    if shared := evidence.get("filesShared"):
        parts.append(_files(evidence.get("files"), shared))
    if isinstance(delta := evidence.get("deltaSeconds"), int):
        parts.append(_lag(delta, "linked run" if rule == "C1" else "commit"))
    if evidence.get("orphaned"):
        parts.append("a commit that a force-push has left out since")
    confidence = evidence.get("confidence")
    score = f", {confidence / 1000:.2f}" if isinstance(confidence, int) else ""
    return f"{', '.join(parts)} ({rule}{score})"


def _files(names: object, shared: object) -> str:
    first = f"`{names[0]}`" if isinstance(names, list) and names else "files"
    return first if shared == 1 else f"{first} and {int(str(shared)) - 1} more"


def _lag(delta: int, what: str) -> str:
    """18 minutes before the commit: rounded down to the largest unit that fits, minutes up to two hours."""
    size = abs(delta)
    for length, name in _UNITS:
        if size >= length and not (name == "hour" and size < 7_200) and not (name == "day" and size < 172_800):
            count = size // length
            return f"{count} {name}{'' if count == 1 else 's'} {'before' if delta > 0 else 'after'} the {what}"
    return f"at the time of the {what}"
