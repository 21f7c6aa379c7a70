"""`orchestrate schedule print`: what it prints works as printed, with the system's own tools where they are here."""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.interfaces.timetables import (
    Job,
    Moment,
    cron,
    job_name,
    launchd,
    moment,
    openclaw,
    path_of,
    refuse_unwritable,
    systemd,
)

if TYPE_CHECKING:
    from collections.abc import Callable

AWKWARD = 'a b\'s 100% "ü" $HOME `x`; é&'
MONDAY = Moment(1, 4, 17)

# Stands where the interpreter would be, so that what it is given can be seen.
SHOWS_WORDS = f"""#!{sys.executable} -I
import json, os, sys
print(json.dumps([sys.argv[1:], os.environ["PATH"]]))
print("on stderr", file=sys.stderr)
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of which every path has all that is awkward for some timer."""
    workspace, programs = tmp_path / AWKWARD, tmp_path / f"bin {AWKWARD}"
    workspace.mkdir()
    programs.mkdir()
    python = programs / "python"
    python.write_text(SHOWS_WORDS)
    python.chmod(0o755)
    return Job(str(workspace), str(python), f"{programs}:/usr/bin:/bin", MONDAY, flock=shutil.which("flock"))


def words_of(job: Job) -> list:
    """What the interpreter has to be given."""
    return [["-P", "-m", "orchestrator", "review", "--heartbeat", "--workspace", job.workspace], job.path]


def logged(job: Job) -> list[str]:
    """The log without its dates."""
    log = Path(job.workspace, "memory", "schedule.log")
    return log.read_text("utf-8").splitlines()[1:] if log.exists() else []


@pytest.mark.skipif(shutil.which("flock") is None, reason="needs `flock`")
def test_a_crontab_line_is_taken_by_the_systems_own_crontab(job, tmp_path):
    if shutil.which("crontab") is None:
        pytest.skip("needs `crontab`")
    (tmp_path / "table").write_text(cron(job).text, encoding="utf-8")
    for check in ("-n", "-T"):  # Debian's and cronie's word for it
        done = subprocess.run(["crontab", check, tmp_path / "table"], capture_output=True, text=True)
        if "invalid option" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    wrong = cron(job).text.replace("17 4 * * 1", "17 4 * * 9")
    (tmp_path / "table").write_text(wrong, encoding="utf-8")
    assert subprocess.run(["crontab", check, tmp_path / "table"], capture_output=True).returncode != 0


def private_cron() -> str:
    """Why no cron of our own can be started here; empty where it can."""
    if missing := [
        name
        for name in ("cron", "unshare", "flock")
        if shutil.which(name, path="/usr/sbin:/usr/bin:/bin") is None
    ]:
        return f"needs {missing[0]}"
    if os.geteuid() != 0:
        return "only root may start a cron with folders of its own"
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/var/spool/cron"], capture_output=True
    )
    return "mounting is not allowed here" if tried.returncode else ""


# All that cron reads and writes is empty and seen by it alone, so that nothing of the machine is run or changed.
OWN_CRON = """
set -e
for folder in /var/spool/cron /etc/cron.d /run; do mount -t tmpfs none "$folder"; done
mount --bind /dev/null /etc/crontab
mkdir -m 1730 /var/spool/cron/crontabs
install -m 600 "$1" /var/spool/cron/crontabs/root
exec cron -f
"""


def run_by_cron(line: str, table: Path, has_run: Callable[[], bool]) -> str:
    """Have Debian's cron run the line once, until `has_run`; what cron said.

    At the start of the daemon instead of on Monday: the five words of the time are replaced, the command is not.
    """
    if why := private_cron():
        pytest.skip(why)
    table.write_text(f"@reboot {line.split(' ', 5)[5]}", encoding="utf-8")
    daemon = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", OWN_CRON, "sh", table],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 70
        while not has_run() and daemon.poll() is None and time.monotonic() < until:
            time.sleep(0.05)  # between two looks
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        _, said = daemon.communicate(timeout=20)
    return said.decode()


def test_debians_cron_runs_the_line_as_printed(job, tmp_path):
    if job.flock is None:
        pytest.skip("needs `flock`")
    said = run_by_cron(cron(job).text, tmp_path / "table", lambda: len(logged(job)) > 1)
    assert "on stderr" in logged(job), said
    assert json.loads(next(line for line in logged(job) if line.startswith("["))) == words_of(job)


def test_debians_cron_has_the_review_say_that_all_is_well(orchestrate, workspace, tmp_path):
    printed = orchestrate("schedule", "print", "--for", "cron", env={"PATH": "/usr/bin:/bin"})
    if shutil.which("flock", path="/usr/bin:/bin") is None:
        pytest.skip("needs `flock`")
    log = workspace / "memory" / "schedule.log"
    said = run_by_cron(
        printed.stdout,
        tmp_path / "table",
        lambda: log.exists() and log.read_text("utf-8").endswith("HEARTBEAT_OK\n"),
    )
    assert log.read_text("utf-8").splitlines()[-1] == "HEARTBEAT_OK", said


def cron_command(job: Job) -> str:
    """The command of a line, as cron hands it to `sh`."""
    return cron(job).text.split(" ", 5)[5].replace("\\%", "%").rstrip("\n")


def test_a_second_review_does_not_start_beside_a_first(job):
    if job.flock is None:
        pytest.skip("needs `flock`")
    lock = Path(job.workspace, "memory", "schedule.lock")
    lock.parent.mkdir()
    command = ["/bin/sh", "-c", cron_command(job)]
    with subprocess.Popen(
        [job.flock, str(lock), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        first.stdin.write(b"held\n")
        first.stdin.flush()
        assert first.stdout.readline() == b"held\n"
        assert subprocess.run(command).returncode == 1
        assert logged(job) == []
        first.stdin.close()
    assert subprocess.run(command).returncode == 0
    assert "on stderr" in logged(job)


def test_a_workspace_that_is_gone_is_not_made_again(job):
    if job.flock is None:
        pytest.skip("needs `flock`")
    Path(job.workspace).rmdir()
    assert subprocess.run(["/bin/sh", "-c", cron_command(job)], stderr=subprocess.DEVNULL).returncode != 0
    assert not Path(job.workspace).exists()


def written_units(job: Job, home: Path) -> list[Path]:
    """The units that the printed commands write."""
    home.mkdir()
    subprocess.run(
        ["sh"],
        input=systemd(job).text,
        text=True,
        check=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
    )
    return sorted((home / ".config" / "systemd" / "user").iterdir())


def test_systemd_finds_no_fault_with_the_units(job, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs `systemd-analyze`")
    units = written_units(job, tmp_path / "home")
    name = job_name(job.workspace)
    assert [path.name for path in units] == [f"{name}.service", f"{name}.timer"]
    done = subprocess.run(["systemd-analyze", "--man=no", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])
    units[1].write_text(units[1].read_text().replace("OnCalendar=Mon", "OnCalendar=Mo nday"))
    done = subprocess.run(["systemd-analyze", "--man=no", "verify", units[1]], capture_output=True, text=True)
    assert "Failed to parse calendar" in done.stderr


def test_systemd_runs_the_line_with_every_word_whole(job, tmp_path):
    """As systemd.service(5) and systemd.syntax(7) say it takes an `ExecStart=` line apart."""
    service = written_units(job, tmp_path / "home")[0].read_text("utf-8")
    line = next(line for line in service.splitlines() if line.startswith("ExecStart=")).removeprefix(
        "ExecStart="
    )
    assert line.startswith('/bin/sh -c "')
    assert line.endswith('"')
    script = line[len('/bin/sh -c "') : -1].replace("%%", "%").replace("$$", "$")
    script = script.replace('\\"', '"').replace("\\\\", "\\")
    subprocess.run(["/bin/sh", "-c", script], check=True, cwd="/")
    assert json.loads(next(line for line in logged(job) if line.startswith("["))) == words_of(job)


def test_a_property_list_has_the_words_and_they_run(job):
    found = plistlib.loads(launchd(job).text.encode())
    assert (found["Label"], found["StartCalendarInterval"]) == (
        job_name(job.workspace),
        {"Hour": 4, "Minute": 17, "Weekday": 1},
    )
    subprocess.run(found["ProgramArguments"], check=True, cwd="/")
    assert json.loads(next(line for line in logged(job) if line.startswith("["))) == words_of(job)


def test_an_openclaw_command_has_the_words_and_its_job_prints_the_answer(job):
    words = shlex.split(openclaw(job).text)
    assert words[:8] == [
        "openclaw",
        "cron",
        "add",
        "--name",
        job_name(job.workspace),
        "--cron",
        "17 4 * * 1",
        "--command-argv",
    ]
    assert words[9:] == ["--command-cwd", job.workspace, "--announce"]
    done = subprocess.run(json.loads(words[8]), check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == words_of(job)
    assert (done.stderr, logged(job)) == ("", ["on stderr"])
    Path(job.python).write_text("#!/bin/sh\necho HEARTBEAT_OK\nexit 7\n")
    quiet = subprocess.run(json.loads(words[8]), capture_output=True, text=True)
    assert (quiet.returncode, quiet.stdout) == (7, "NO_REPLY\n")


PLAIN = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/"), min_size=1
)


@given(name=PLAIN, other=PLAIN)
def test_any_plain_name_comes_back_out_of_every_form(name, other):
    job = Job(f"/{name}", f"/{other}/python", f"/{other}:/bin", MONDAY, flock="/usr/bin/flock")
    refuse_unwritable([job.workspace, job.python])
    script = plistlib.loads(launchd(job).text.encode())["ProgramArguments"][2]
    assert job.workspace == shlex.split(script)[1]
    assert job.workspace == shlex.split(json.loads(shlex.split(openclaw(job).text)[8])[2])[1]
    if "\\" not in name + other and len(script.encode()) < 900:
        assert job.workspace == shlex.split(cron_command(job))[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mon 04:17", Moment(1, 4, 17)),
        ("Sunday 23:59", Moment(0, 23, 59)),
        (" 7:05 ", Moment(None, 7, 5)),
    ],
)
def test_a_time_of_the_week(text, found):
    assert moment(text) == found


@pytest.mark.parametrize(
    "text", ["", "mo 04:17", "monday", "24:00", "04:60", "17 4 * * 1", "mon\n04:17", "weekly"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="is no time of the week"):
        moment(text)


def test_every_day_in_each_form():
    job = Job("/w", "/p", "/bin", Moment(None, 7, 5), flock="/usr/bin/flock")
    assert cron(job).text.startswith("5 7 * * * cd /w ")
    assert "\nOnCalendar=*-*-* 07:05:00\n" in systemd(job).text
    assert plistlib.loads(launchd(job).text.encode())["StartCalendarInterval"] == {"Hour": 7, "Minute": 5}
    assert shlex.split(openclaw(job).text)[6] == "5 7 * * *"


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x00b", "a\x1bb", "a\udc80b", "a\u2028b"])
def test_a_path_that_would_break_a_line_is_refused(name):
    with pytest.raises(UsageError, match="can't be put in a schedule"):
        refuse_unwritable([f"/{name}"])


def test_what_cron_can_not_be_told_is_refused():
    with pytest.raises(UsageError, match=r"cron can't be told of a path with a `\\`"):
        cron(Job("/a\\b", "/p", "/bin", MONDAY, flock="/usr/bin/flock"))
    with pytest.raises(UsageError, match=r"cron takes commands up to 999 bytes, and this one has 1,\d{3}"):
        cron(Job("/" + "a" * 500, "/p", "/bin", MONDAY, flock="/usr/bin/flock"))
    with pytest.raises(UsageError, match="no `flock` here"):
        cron(Job("/w", "/p", "/bin", MONDAY))


def test_the_path_of_a_job_has_what_is_there_once():
    given_path = "/usr/bin:.:relative:/gone:/bin:/usr/bin:/a\nb"
    assert path_of(given_path, ["/usr/bin", ".", "relative", "/bin", "/a\nb"]) == "/usr/bin:/bin"
    assert path_of("", []) == "/usr/local/bin:/usr/bin:/bin"


def test_the_command_prints_one_timer_and_no_key(orchestrate, workspace, clean_env):
    secret = {"OPENAI_API_KEY": "sk-SECRET"}
    done = orchestrate(
        "schedule",
        "print",
        "--for",
        "systemd",
        "--at",
        "fri 06:00",
        "--workspace",
        str(workspace),
        env=secret,
    )
    assert done.returncode == 0
    assert f"{sys.executable} -P -m orchestrator review --heartbeat --workspace {workspace};" in done.stdout
    assert "OnCalendar=Fri *-*-* 06:00:00" in done.stdout
    assert "SECRET" not in done.stdout + done.stderr
    assert "keys are read from ~/.config/orchestrate/keys" in done.stderr
    found = json.loads(orchestrate("schedule", "print", "--for", "launchd", "--json").stdout)
    assert (sorted(found), found["for"]) == (["for", "install", "text"], "launchd")


def test_without_a_timer_it_shows_what_is_here(orchestrate):
    done = orchestrate("schedule", "print")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "TIMER",
        "cron",
        "systemd",
        "launchd",
        "openclaw",
    ]
    found = json.loads(orchestrate("schedule", "--json").stdout)
    assert found["choice"] in (None, *found["timers"])
