r"""What starts the review on time, as text for each timer that a machine may have. Values in, text out.

All of them start one line of `sh`, which goes to the workspace, writes a log, and holds a lock where the timer itself would
start a second review beside a first. What differs is how each reads a line:

- cron gives a line to `sh`, but an unescaped `%` ends it there, and a `\` before one is taken away (crontab(5)). A
  command of 1,000 bytes or more is refused by Debian's cron, so it is by us.
- systemd splits `ExecStart=` by itself: in double quotes `\` and `"` are escaped, `%` and `$` doubled
  (systemd.service(5), "Command lines"). It never starts a unit that still runs.
- launchd takes a list of words in a property list, and never starts a job that still runs (launchd.plist(5)).
- OpenClaw takes a JSON list of words; what the command prints is the message that it delivers.

A path is quoted for `sh` first, then for the timer. What can't be written for one, as a line break, is refused.
"""

from __future__ import annotations

import hashlib
import json
import plistlib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
LOG = "memory/schedule.log"
LOCK = "memory/schedule.lock"
LONGEST_CRON_BYTES = 999
LIMIT = "1h"
"""How long systemd lets a review take."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MOMENT = re.compile(r"(?:([a-z]+) +)?([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Moment:
    """When a review begins, in the machine's local time. `day` counts from Sunday; None = every day."""

    day: int | None
    hour: int
    minute: int


@dataclass(frozen=True, slots=True)
class Job:
    """What is started and when. `path` is the PATH that it gets, `flock` the program that holds a lock."""

    workspace: str
    python: str
    path: str
    at: Moment
    flock: str | None = None


@dataclass(frozen=True, slots=True)
class Timetable:
    """A text for a timer; `install` says in words and commands what to do with it, a line each."""

    text: str
    install: tuple[str, ...]


def moment(text: str) -> Moment:
    """`mon 04:17`, or `04:17` for every day. Raises UsageError."""
    found = _MOMENT.fullmatch(text.strip().lower())
    days = [
        n
        for n, day in enumerate(DAYS)
        if found and found[1] and len(found[1]) > 2 and day.startswith(found[1])
    ]
    if found is None or (found[1] and not days):
        raise UsageError(
            f"`--at {_CONTROL.sub('?', text)}` is no time of the week",
            hint='write a day and a time, as --at "mon 04:17", or a time alone for every day',
        )
    return Moment(days[0] if days else None, int(found[2]), int(found[3]))


def job_name(workspace: str) -> str:
    """A name for a workspace's job: the end of its path, and what tells it from another of that name."""
    ending = re.sub(r"[^a-z0-9]+", "-", workspace.rpartition("/")[2].lower()).strip("-")[:30].strip("-")
    digest = hashlib.sha256(workspace.encode()).hexdigest()[:6]
    return "-".join(filter(None, ("orchestrate-review", ending, digest)))


def cron(job: Job) -> Timetable:
    """A line of a crontab. Raises UsageError where cron could not read it."""
    if "\\" in job.workspace + job.python + job.path:
        raise UsageError(
            "cron can't be told of a path with a `\\`: it takes some away",
            hint="move the workspace or the installation, or use --for systemd",
        )
    if job.flock is None:
        raise UsageError(
            "cron starts a review also while one still runs, and there is no `flock` here to hold it back",
            hint="install util-linux, or use another: `orchestrate schedule print` shows what is here",
        )
    command = _logged(job).replace("%", "\\%")
    if (n_bytes := len(command.encode())) > LONGEST_CRON_BYTES:
        raise UsageError(
            f"cron takes commands up to {LONGEST_CRON_BYTES} bytes, and this one has {n_bytes:,}",
            hint="print it with a shorter PATH: PATH=/usr/bin:/bin, and orchestrate by its whole path",
        )
    day = "*" if job.at.day is None else job.at.day
    return Timetable(
        f"{job.at.minute} {job.at.hour} * * {day} {command}\n",
        (
            "add the line with `crontab -e`; cron starts nothing that was missed while the machine was off",
            "cron passes no keys on: where the review asks a model, put NAME=value lines of the keys above it in the crontab",
        ),
    )


def systemd(job: Job) -> Timetable:
    """Commands of `sh` that write a service and a timer of the user's own systemd."""
    name = job_name(job.workspace)
    line = re.sub(r'([\\"])', r"\\\1", _logged(job)).replace("%", "%%").replace("$", "$$")
    clock = f"*-*-* {job.at.hour:02}:{job.at.minute:02}:00"
    calendar = clock if job.at.day is None else f"{DAYS[job.at.day][:3].title()} {clock}"
    service = (
        "[Unit]\nDescription=Review of the usage record by orchestrate\n\n[Service]\nType=oneshot\n"
        f"EnvironmentFile=-%h/.config/orchestrate/keys\nTimeoutStartSec={LIMIT}\n"
        f'ExecStart=/bin/sh -c "{line}"\n'
    )
    timer = (
        "[Unit]\nDescription=When orchestrate reviews the usage record\n\n"
        f"[Timer]\nOnCalendar={calendar}\nPersistent=true\nUnit={name}.service\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )
    folder = '"${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"'
    written = "\n".join(
        f"cat > {folder}/{name}.{kind} <<'END'\n{text}END"
        for kind, text in (("service", service), ("timer", timer))
    )
    return Timetable(
        f"mkdir -p {folder}\n{written}\n",
        (
            "the commands write two units: paste them into a shell, or pipe them to `sh`; then",
            f"  systemctl --user daemon-reload && systemctl --user enable --now {name}.timer",
            "to have it run also while you are logged out: loginctl enable-linger",
            "where the review asks a model, keys are read from ~/.config/orchestrate/keys: NAME=value lines, mode 600",
        ),
    )


def launchd(job: Job) -> Timetable:
    """A property list of a user agent of macOS."""
    label = job_name(job.workspace)
    when = {"Hour": job.at.hour, "Minute": job.at.minute}
    when |= {} if job.at.day is None else {"Weekday": job.at.day}
    job_keys = {
        "Label": label,
        "ProgramArguments": ["/bin/sh", "-c", _logged(job)],
        "StartCalendarInterval": when,
        "ProcessType": "Background",
    }
    return Timetable(
        plistlib.dumps(job_keys, sort_keys=False).decode(),
        (
            f"write it to ~/Library/LaunchAgents/{label}.plist, then",
            f"  launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{label}.plist",
            "launchd passes no keys on: where the review asks a model, set them with `launchctl setenv NAME value`",
        ),
    )


def openclaw(job: Job) -> Timetable:
    """An `openclaw cron add` command; the gateway delivers what the review prints."""
    day = "*" if job.at.day is None else job.at.day
    words: Sequence[str] = (
        "openclaw", "cron", "add", "--name", job_name(job.workspace), "--cron", f"{job.at.minute} {job.at.hour} * * {day}",
        "--command-argv", json.dumps(["/bin/sh", "-c", _delivered(job)], ensure_ascii=False), "--command-cwd", job.workspace,
        "--announce",
    )  # fmt: skip
    return Timetable(
        shlex.join(words) + "\n",
        (
            "run the command where the gateway runs; what the review prints is delivered to your chat",
            "the review has the keys that the gateway has in its environment",
        ),
    )


def refuse_unwritable(paths: Sequence[str]) -> None:
    """Raise UsageError for a path that has no place in a line: one with control characters or bytes that are no UTF-8."""
    for path in paths:
        if _CONTROL.search(path):
            shown = path.encode("unicode_escape", "surrogatepass").decode("ascii")
            raise UsageError(
                f"the path `{shown}` can't be put in a schedule: it has a line break, a control character or broken bytes",
                hint="rename the folder",
            )


def path_of(current: str, exists: Sequence[str]) -> str:
    """The PATH for a job: the folders of `current` that are absolute, plain and there, each once."""
    kept = [
        one
        for one in current.split(":")
        if one in exists and one.startswith("/") and not _CONTROL.search(one)
    ]
    return ":".join(dict.fromkeys(kept)) or "/usr/local/bin:/usr/bin:/bin"


def _logged(job: Job) -> str:
    return f"{_begun(job)} && {{ date; {_review(job)}; }} >> {LOG} 2>&1"


def _delivered(job: Job) -> str:
    """What is printed is a message: none where nothing needs attention, which OpenClaw is told by NO_REPLY."""
    return (
        f"{_begun(job)} && {{ date >> {LOG}; said=$({_review(job)} 2>> {LOG}); code=$?; "
        '[ "$said" != HEARTBEAT_OK ] || said=NO_REPLY; printf \'%s\\n\' "$said"; exit $code; }'
    )


def _begun(job: Job) -> str:
    return f"cd {shlex.quote(job.workspace)} && mkdir -p memory"


def _review(job: Job) -> str:
    """The review. `-P`: a file of the workspace is never taken for a module."""
    words = [*([job.flock, "-n", LOCK] if job.flock else []), job.python, "-P", "-m", "orchestrator"]
    words += ["review", "--heartbeat", "--workspace", job.workspace]
    return f"PATH={shlex.quote(job.path)} {shlex.join(words)}"


TIMETABLES = {"cron": cron, "systemd": systemd, "launchd": launchd, "openclaw": openclaw}
"""A text for each kind of timer, by the name that `--for` takes."""
