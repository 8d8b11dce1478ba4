"""A local clone: which pull requests and commits its history tells of, and what an import of it links."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from costlens.domain.errors import InvalidInput, Unavailable
from costlens.domain.github import CommitRecord, PersonRecord, PullRecord, Record, RepositoryRecord
from costlens.domain.names import Identity, identities_of
from costlens.domain.roi import Window
from costlens.github.clone import read_clone
from costlens.services.linking import link_repository
from costlens.services.reports import roi_report
from costlens.services.sync import Imported, import_records
from costlens.store import tables as t
from tests.github.clones import ALICE, BOB, START, Clone, new_clone
from tests.services.ledger import Ledger, a_pull, a_run, check_buckets, check_sums, open_ledger

HOUR = timedelta(hours=1)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A repository with one commit on main, made at START."""
    made = new_clone(tmp_path / "web")
    made.commit("Start", "README.md")
    return made


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def read(clone: Clone, since: datetime | None = None) -> list[Record]:
    return list(read_clone(clone.path, "acme/web", since=since))


def pulls(clone: Clone, since: datetime | None = None) -> dict[int, PullRecord]:
    return {record.number: record for record in read(clone, since) if isinstance(record, PullRecord)}


def commits(clone: Clone, since: datetime | None = None) -> dict[str, CommitRecord]:
    """Commits outside pull requests by sha."""
    return {record.sha: record for record in read(clone, since) if isinstance(record, CommitRecord)}


def test_a_merged_pull_request_with_its_commits(clone: Clone) -> None:
    clone.branch("feat/login")
    first = clone.commit("Sign in by link\n\nLonger.\n\nCostLens-Session: s-1\n", "login.py", "web/form.html")
    second = clone.commit("Test it", "test_login.py", author=BOB)
    merge = clone.merge("feat/login", "Merge pull request #7 from acme/feat/login\n\nSign in\n\nMore words.\n")
    at = START + HOUR
    alice, bob = identities_of(email=ALICE[1]), identities_of(email=BOB[1])
    assert pulls(clone) == {
        7: PullRecord(
            repository="acme/web",
            number=7,
            title="Sign in",
            created_at=at,
            author=alice,
            body="More words.",
            head_ref="feat/login",
            head_sha=second,
            base_ref="main",
            merged_at=at + 2 * HOUR,
            closed_at=at + 2 * HOUR,
            merge_commit_sha=merge,
            commits=(
                CommitRecord(
                    "acme/web",
                    first,
                    at,
                    at,
                    "Sign in by link\n\nLonger.\n\nCostLens-Session: s-1",
                    alice,
                    ("login.py", "web/form.html"),
                    ("feat/login",),
                    author_name=ALICE[0],
                ),
                CommitRecord(
                    "acme/web",
                    second,
                    at + HOUR,
                    at + HOUR,
                    "Test it",
                    bob,
                    ("test_login.py",),
                    ("feat/login",),
                    author_name=BOB[0],
                ),
            ),
        )
    }
    assert {sha: commit.files for sha, commit in commits(clone).items() if sha != merge} == {
        clone.git("rev-list", "--max-parents=0", "HEAD"): ("README.md",)
    }
    assert commits(clone)[merge].files == ()


def test_the_repository_and_its_people_come_too(clone: Clone) -> None:
    clone.commit("By an app", author=("renovate[bot]", "29139614+renovate[bot]@users.noreply.github.com"))
    clone.commit("By nobody", author=("Nobody", ""))
    clone.commit("Again", author=("Alice B.", "ALICE@example.com"))
    records = read(clone)
    assert records[0] == RepositoryRecord("acme/web", None, "main", closed_known=False)
    assert [record for record in records if isinstance(record, PersonRecord)] == [
        PersonRecord((Identity("email", "alice@example.com"),), "Alice", bot=False),
        PersonRecord(
            (
                Identity("email", "29139614+renovate[bot]@users.noreply.github.com"),
                Identity("github_id", "29139614"),
                Identity("login", "renovate[bot]"),
            ),
            "renovate[bot]",
            bot=True,
        ),
    ]
    assert [commit.author for commit in commits(clone).values()][2] == ()


def test_a_squash_merge_is_its_one_commit(clone: Clone) -> None:
    clone.branch("feat/export")
    clone.commit("One", "export.py")
    clone.commit("Two", "export.py", "csv.py")
    message = "Export (as CSV) (#12)\n\n* One\n\nCostLens-Run: run-1\n\n* Two\n"
    sha = clone.squash("feat/export", message)
    (pull,) = pulls(clone).values()
    assert (pull.number, pull.title, pull.merge_commit_sha) == (12, "Export (as CSV)", sha)
    assert (pull.head_ref, pull.head_sha, pull.base_ref) == (None, None, "main")
    assert pull.body == "* One\n\nCostLens-Run: run-1\n\n* Two"
    assert pull.merged_at == pull.created_at == START + 3 * HOUR
    assert [(one.sha, one.files, one.branches) for one in pull.commits] == [(sha, ("csv.py", "export.py"), ("main",))]
    assert sha not in commits(clone)


def test_a_merge_titled_by_its_pull_request(clone: Clone) -> None:
    clone.branch("topic")
    inside = clone.commit("Work", "a.py")
    clone.merge("topic", "A better title (#3)")
    (pull,) = pulls(clone).values()
    assert (pull.number, pull.title, pull.head_ref) == (3, "A better title", None)
    assert [one.sha for one in pull.commits] == [inside]


def test_direct_commits_and_other_merges_are_outside(clone: Clone) -> None:
    direct = clone.commit("Mention #4 and (#5) within", "a.py")
    clone.branch("topic")
    inside = clone.commit("Not numbered", "b.py")
    merge = clone.merge("topic", "Merge branch 'topic'")
    assert pulls(clone) == {}
    found = commits(clone)
    assert list(found)[1:] == [direct, merge, inside]
    assert (found[direct].branches, found[inside].branches) == (("main",), ())


def test_the_side_of_a_merge_is_what_git_says(clone: Clone) -> None:
    """Branches from branches, and main merged back into a branch: each commit is brought in once."""
    clone.branch("a")
    clone.commit("a1", "a")
    clone.branch("b", "a")
    clone.commit("b1", "b")
    clone.git("switch", "--quiet", "main")
    clone.commit("direct", "main.py")
    clone.git("switch", "--quiet", "b")
    clone.git("merge", "--quiet", "--no-ff", "main", "-m", "Merge branch 'main' into b")
    clone.merge("a", "Merge pull request #1 from acme/a\n\nA")
    clone.git("switch", "--quiet", "b")
    clone.commit("b2", "b")
    clone.merge("b", "Merge pull request #2 from acme/b\n\nB")
    found = pulls(clone)
    assert [one.message for one in found[1].commits] == ["a1"]
    assert [one.message.strip() for one in found[2].commits] == ["b1", "Merge branch 'main' into b", "b2"]
    for pull in found.values():
        range_ = f"{pull.merge_commit_sha}^1..{pull.merge_commit_sha}^2"
        assert {one.sha for one in pull.commits} == set(clone.git("rev-list", range_).split())
    told = [one.sha for pull in found.values() for one in pull.commits] + list(commits(clone))
    assert sorted(told) == sorted(clone.git("rev-list", "main").split())


def test_a_number_that_comes_again_is_a_cherry_pick(clone: Clone) -> None:
    first = clone.commit("Export (#12)", "a.py")
    again = clone.commit("Export (#12)", "a.py")
    assert pulls(clone)[12].merge_commit_sha == first
    assert again in commits(clone)


@pytest.mark.parametrize(
    "file",
    ["a b.py", "naïve/ünï.py", 'quo"te.py', "tab\t.py", "line\nbreak.py", "-dash.py", "\nfirst.py", "日本.md"],
)
def test_file_names_as_they_are(clone: Clone, file: str) -> None:
    sha = clone.commit("Odd", file)
    assert commits(clone)[sha].files == (file,)


def test_a_file_named_like_a_commit(clone: Clone) -> None:
    sha = clone.commit("One", "a.py", "b" * 40)
    clone.commit("Two", "c.py")
    assert commits(clone)[sha].files == ("a.py", "b" * 40)


@pytest.mark.parametrize("message", ["", "Füße\n\n\tindented\n\n\x01\x1e\x1f%H%x00", "One\r\n\r\nTwo", "a\nb\n\nc"])
def test_messages_as_they_are(clone: Clone, message: str) -> None:
    sha = clone.commit(message, "a.py")
    last = clone.commit("Next", "b.py")
    found = commits(clone)
    assert found[sha].message == message
    assert (found[sha].files, found[last].files) == (("a.py",), ("b.py",))


def test_what_is_not_utf_8_is_replaced(clone: Clone) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}")
    raw = (
        f"tree {tree}\nauthor ".encode() + b"Ren\xe9 <alice@example.com> 1700000000 +0000\n"
        b"committer A <alice@example.com> 99999999999999999 +0000\n\nCaf\xe9\n"
    )
    done = subprocess.run(
        ["git", "-C", str(clone.path), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        input=raw, capture_output=True, check=True,
    )  # fmt: skip
    sha = done.stdout.decode().strip()
    clone.git("update-ref", "refs/heads/main", sha)
    found = commits(clone)[sha]
    assert found.message == "Caf\ufffd"
    assert found.authored_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert found.committed_at.tzinfo is UTC


def test_since_is_asked_of_the_merge_and_not_of_its_commits(clone: Clone) -> None:
    clone.branch("old-work")
    inside = clone.commit("Long ago", "a.py")
    clone.now += timedelta(days=100)
    since = clone.now
    clone.now += HOUR
    merge = clone.merge("old-work", "Merge pull request #1 from acme/old-work\n\nLate")
    (pull,) = pulls(clone, since).values()
    assert [one.sha for one in pull.commits] == [inside]
    assert set(commits(clone, since)) == {merge}
    assert read(clone, clone.now) == [RepositoryRecord("acme/web", None, "main", closed_known=False)]
    assert pulls(clone, since) == pulls(clone)


def test_the_default_branch_of_the_remote_comes_first(clone: Clone, tmp_path: Path) -> None:
    clone.branch("trunk")
    clone.commit("On trunk (#5)", "a.py")
    clone.git("clone", "--quiet", str(clone.path), str(tmp_path / "copy"))
    copy = Clone(tmp_path / "copy")
    copy.git("switch", "--quiet", "--create", "main", "origin/main")
    assert read(copy)[0] == RepositoryRecord("acme/web", None, "trunk", closed_known=False)
    assert list(pulls(copy)) == [5]
    copy.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    assert read(copy)[0] == RepositoryRecord("acme/web", None, "main", closed_known=False)
    assert pulls(copy) == {}


def test_without_main_what_is_checked_out(tmp_path: Path) -> None:
    clone = new_clone(tmp_path / "web", "develop")
    clone.commit("Start (#1)", "a.py")
    assert read(clone)[0] == RepositoryRecord("acme/web", None, "develop", closed_known=False)
    clone.git("checkout", "--quiet", "--detach")
    clone.git("branch", "-D", "develop")
    assert read(clone)[0] == RepositoryRecord("acme/web", None, None, closed_known=False)
    assert pulls(clone)[1].base_ref is None


def test_a_bare_clone_and_a_folder_within(clone: Clone, tmp_path: Path) -> None:
    clone.commit("Start (#1)", "src/a.py")
    clone.git("clone", "--quiet", "--bare", str(clone.path), str(tmp_path / "bare"))
    for path in (tmp_path / "bare", clone.path / "src"):
        assert list(read_clone(path, "acme/web")) == read(clone)


def test_a_shallow_clone_has_no_files_where_it_was_cut(clone: Clone, tmp_path: Path) -> None:
    clone.commit("Cut here", "a.py")
    clone.commit("Last", "b.py")
    clone.git("clone", "--quiet", "--depth=2", f"file://{clone.path}", str(tmp_path / "shallow"))
    found = commits(Clone(tmp_path / "shallow"))
    assert [(one.message, one.files) for one in found.values()] == [("Cut here", ()), ("Last", ("b.py",))]


def test_the_environment_of_a_hook_does_not_matter(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert len(commits(clone)) == 1


def test_settings_of_the_repository_do_not_matter(clone: Clone) -> None:
    clone.commit("Füße", "ünï.py")
    before = read(clone)
    for name, value in (
        ("log.showSignature", "true"), ("color.ui", "always"), ("core.quotePath", "true"), ("log.date", "relative"),
        ("diff.external", "false"), ("i18n.logOutputEncoding", "latin1"), ("diff.renames", "copies"),
        ("format.pretty", "oneline"), ("core.pager", "false"), ("log.follow", "true"), ("diff.noprefix", "true"),
    ):  # fmt: skip
        clone.git("config", name, value)
    assert read(clone) == before


def test_progress_ends_with_all_commits(clone: Clone) -> None:
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <alice@example.com> {1_800_000_000 + n} +0000\ndata 1\nx\n"
        + ("from refs/heads/main^0\n" if n == 0 else "")
        for n in range(450)
    )
    clone.git("fast-import", "--quiet", text=stream)
    told: list[tuple[int, int]] = []
    records = list(read_clone(clone.path, "acme/web", progress=lambda done, total: told.append((done, total))))
    assert told == [(200, 451), (400, 451), (451, 451)]
    assert sum(isinstance(record, CommitRecord) for record in records) == 451


def test_a_reader_that_stops_early_leaves_no_git_behind(clone: Clone) -> None:
    records = read_clone(clone.path, "acme/web")
    next(records), next(records), next(records)
    records.close()  # type: ignore[attr-defined]


def test_errors_say_what_is_wrong(clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").mkdir()
    new_clone(tmp_path / "empty")
    for folder, says in (("plain", "plain is not a git repository"), ("empty", "no commits"), ("none", "not a folder")):
        with pytest.raises(InvalidInput, match=says):
            list(read_clone(tmp_path / folder, "acme/web"))
    with pytest.raises(InvalidInput, match="owner/name"):
        list(read_clone(clone.path, "web"))
    monkeypatch.setenv("PATH", str(tmp_path / "plain"))
    with pytest.raises(Unavailable, match="git is not installed"):
        read(clone)


def test_a_damaged_repository_is_an_error_and_not_a_short_history(clone: Clone) -> None:
    sha = clone.commit("Damaged", "a.py")
    clone.commit("Last", "b.py")
    tree = clone.git("rev-parse", f"{sha}^{{tree}}")
    (clone.path / ".git/objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(Unavailable, match="git failed"):
        read(clone)


# Imports.


def load(ledger: Ledger, clone: Clone) -> Imported:
    return import_records(ledger.store, ledger.organization.id, read_clone(clone.path, "acme/web"))


def rules(ledger: Ledger, now: datetime) -> dict[int, tuple[int | None, str | None, str, str]]:
    """(pull request number, sha, rule, state) by run, after a pass over the repository."""
    link_repository(ledger.store, ledger.organization.id, ledger.repository("acme/web"), now=now)
    numbers = {row["id"]: row["number"] for row in ledger.rows(t.pull_requests)}
    return {
        row["run_id"]: (numbers.get(row["pull_request_id"]), row["commit_sha"], row["rule"], row["state"])
        for row in ledger.rows(t.links)
        if row["valid_to"] is None
    }


def a_history(clone: Clone) -> dict[str, str]:
    """Pull request 1 merged, 2 squashed; shas by message."""
    clone.branch("feat/login")
    login = clone.commit("Sign in\n\nCostLens-Session: s-1", "login.py")
    clone.merge("feat/login", "Merge pull request #1 from acme/feat/login\n\nSign in")
    clone.branch("feat/export")
    clone.commit("Export", "export.py", author=BOB)
    message = "Export (#2)\n\n* Half\n\nCostLens-Session: s-2\n\n* Rest\n\nCostLens-Session: s-3"
    export = clone.squash("feat/export", message, BOB)
    return {"login": login, "export": export}


def test_an_import_again_changes_nothing(ledger: Ledger, clone: Clone) -> None:
    a_history(clone)
    done = load(ledger, clone)
    assert (done.pulls, done.commits, done.people) == (2, 4, 2)
    assert done.changed == {ledger.repository("acme/web")}
    before = ledger.dump()
    assert load(ledger, clone).changed == set()
    assert ledger.dump() == before


def test_what_came_later_is_added(ledger: Ledger, clone: Clone) -> None:
    a_history(clone)
    load(ledger, clone)
    clone.commit("More (#3)", "more.py")
    assert load(ledger, clone).changed == {ledger.repository("acme/web")}
    assert [row["number"] for row in ledger.rows(t.pull_requests)] == [1, 2, 3]


def test_runs_are_linked_by_branch_and_by_trailer(ledger: Ledger, clone: Clone) -> None:
    shas = a_history(clone)
    load(ledger, clone)
    at = START + HOUR / 2
    by_branch, by_session, by_body, by_last = (
        ledger.send_one(a_run(repository="acme/web", occurred_at=at, **values), now=clone.now).id
        for values in (
            {"branch": "feat/login", "actor": "alice@example.com"},
            {"session_id": "s-1"},
            {"session_id": "s-2"},
            {"session_id": "s-3"},
        )
    )
    found = rules(ledger, clone.now)
    assert found[by_branch] == (1, shas["login"], "B1", "counted")
    assert found[by_session] == (1, shas["login"], "S1", "counted")
    # A squash joins the messages, so only the last session is a trailer; the body tells the others.
    assert found[by_body][:1] + found[by_body][2:] == (2, "S1", "counted")
    assert found[by_last] == (2, shas["export"], "S1", "counted")


def test_reverts_are_seen(ledger: Ledger, clone: Clone) -> None:
    a_history(clone)
    clone.branch("revert-1-feat/login")
    clone.git("rm", "--quiet", "login.py")
    clone.commit('Revert "Sign in"')
    clone.merge("revert-1-feat/login", 'Merge pull request #4 from acme/revert-1-feat/login\n\nRevert "Sign in"')
    clone.commit('Revert "Export (#2)" (#5)\n\nReverts acme/web#2', "export.py")
    load(ledger, clone)
    outcomes = {row["number"]: row["outcome"] for row in ledger.rows(t.pull_requests)}
    assert outcomes == {1: "reverted", 2: "reverted", 4: "merged", 5: "merged"}


def test_a_direct_revert_is_seen(ledger: Ledger, clone: Clone) -> None:
    shas = a_history(clone)
    clone.commit(f'Revert "Export (#2)"\n\nThis reverts commit {shas["export"]}.', "export.py")
    load(ledger, clone)
    assert {row["number"]: row["outcome"] for row in ledger.rows(t.pull_requests)} == {1: "merged", 2: "reverted"}


def closed_known(ledger: Ledger) -> bool | None:
    (row,) = ledger.rows(t.repositories)
    return row["closed_known"]  # type: ignore[no-any-return]


def merge_yield(ledger: Ledger) -> float | None:
    window = Window(START.date(), START.date() + timedelta(days=7), "UTC")
    return roi_report(ledger.store, ledger.organization.id, "repository", window=window).total.merge_yield


def test_merge_yield_waits_for_a_source_that_tells_of_closed_pull_requests(ledger: Ledger, clone: Clone) -> None:
    a_history(clone)
    ledger.send_one(a_run(repository="acme/web", occurred_at=START, pr_number=1), now=clone.now)
    load(ledger, clone)
    rules(ledger, clone.now)
    assert closed_known(ledger) is False
    assert merge_yield(ledger) is None
    load(ledger, clone)
    assert closed_known(ledger) is False
    import_records(ledger.store, ledger.organization.id, [a_pull(9, merged_at=None, closed_at=clone.now)])
    assert closed_known(ledger) is True
    assert merge_yield(ledger) == 1  # no run is counted on the abandoned one
    load(ledger, clone)
    assert closed_known(ledger) is True


def test_a_clone_takes_nothing_from_what_another_source_told(ledger: Ledger, clone: Clone) -> None:
    a_history(clone)
    import_records(ledger.store, ledger.organization.id, [a_pull(9, merged_at=clone.now, closed_at=clone.now)])
    load(ledger, clone)
    assert closed_known(ledger) is None


def test_a_note_of_git_ai_links_its_session(ledger: Ledger, clone: Clone) -> None:
    clone.branch("feat/search")
    written = clone.commit("Search", "search.py")
    note = 'search.py\n  s_1::t_1 1\n---\n{"sessions": {"s_1": {"agent_id": {"tool": "claude", "id": "s-7"}}}}'
    clone.git("notes", "--ref=ai", "add", "--file=-", written, text=note)
    clone.git("notes", "add", "-m", "CostLens-Session: s-8", written)  # a note of another kind
    clone.merge("feat/search", "Merge pull request #7 from acme/feat/search\n\nSearch")
    load(ledger, clone)
    at = START + HOUR / 2
    run, other = (
        ledger.send_one(a_run(repository="acme/web", occurred_at=at, session_id=session), now=clone.now).id
        for session in ("s-7", "s-8")
    )
    found = rules(ledger, clone.now)
    assert found[run] == (7, written, "S2", "counted")
    assert other not in found
