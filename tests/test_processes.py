"""The parts of `costlens up`: who may have a data folder, where its socket is, and who ends with whom."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from costlens import processes
from costlens.config import Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[1]


def settings_in(folder: Path) -> Settings:
    return load_settings({"COSTLENS_DATA": str(folder)})


def output_of(script: str) -> str:
    """What a Python script and its children print until the last of them has ended."""
    command = (sys.executable, "-c", "import os, signal, sys, time\nfrom costlens.processes import *\n" + script)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False).stdout


def test_a_data_folder_is_claimed_once(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = processes.claim(settings)
    with pytest.raises(SettingsError, match="Another `costlens up` works in"):
        processes.claim(settings)
    for file in first:
        file.close()
    for file in processes.claim(settings):
        file.close()


def test_the_next_group_waits_for_what_a_killed_one_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    left = (tmp_path / "children.lock").open("w")
    fcntl.flock(left, fcntl.LOCK_EX)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "STOP_SECONDS", 0.2)
        with pytest.raises(SettingsError, match="Processes of an earlier `costlens up` still work in"):
            processes.claim(settings)
    ends = threading.Timer(0.3, left.close)
    ends.start()
    ours, childrens = processes.claim(settings)
    assert left.closed
    ours.close()
    childrens.close()


@pytest.mark.parametrize("name", ["a" * 90, "ü" * 50])
def test_a_path_too_long_for_a_socket_leads_to_a_short_one_of_ones_own(tmp_path: Path, name: str) -> None:
    settings = settings_in(tmp_path / name)
    assert len(os.fsencode(settings.queue_socket)) <= 100
    assert settings.queue_socket != settings_in(tmp_path / "b" / name).queue_socket
    assert str(settings.queue_socket) in processes.queue_command(settings)
    mode = settings.queue_socket.parent.stat().st_mode
    assert mode & 0o077 == 0, "nobody else may reach it"


def test_a_socket_folder_that_another_user_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path / ("a" * 90))
    stranger = os.getuid() + 40_000
    monkeypatch.setattr(os, "getuid", lambda: stranger)  # as if this process, which makes the folder, were another's
    try:
        with pytest.raises(SettingsError, match="belongs to another user"):
            processes.queue_command(settings)
    finally:
        settings.queue_socket.parent.rmdir()


def test_an_embedded_queue_takes_no_port(tmp_path: Path) -> None:
    command = processes.queue_command(replace(settings_in(tmp_path), redis_url=None))
    assert command[command.index("--port") + 1] == "0"


AFTER_THE_PARENT = """
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
print("alone", flush=True)
end_with_parent(parent)
print("still here", flush=True)
"""


def test_a_child_whose_parent_ended_before_it_could_ask_ends_at_once() -> None:
    assert output_of(AFTER_THE_PARENT) == "alone\n"


# A parent forks a child, which forks another; the parent kills the first and the second must end too.
TWO_FORKS = """
{prepare}
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.fork()
    os.write(writer, b"x")
    time.sleep({sleep})
    print("outlived its parent", flush=True)
    os._exit(0)
assert len(os.read(reader, 1)) + len(os.read(reader, 1)) == 2
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize(
    ("prepare", "printed"), [("end_forks_with_parent()", ""), ("", "outlived its parent\n")], ids=["asked", "not asked"]
)
def test_forks_of_forks_end_with_the_one_that_forked_them(prepare: str, printed: str) -> None:
    assert output_of(TWO_FORKS.format(prepare=prepare, sleep=1)) == printed
