"""What a skill's code uses against what the skill says that it uses.

A manifest is a promise: what it leaves out is `medium`. A skill without one promised nothing, so a mention in its
Markdown is enough, and what is not even mentioned is `low`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit_rules import javascript, places, python_code
from audit_rules.finding import Finding, Severity, excerpt, is_test
from audit_rules.frontmatter import Declared
from audit_rules.tree import TextFile

# Set by a shell, a terminal, a host or an interpreter; no skill has to announce them.
COMMON_VARIABLES = re.compile(
    r"PATH|HOME|USER(NAME|PROFILE)?|LOGNAME|SHELL|PWD|OLDPWD|TMPDIR|TEMP|TMP|LANG|LC_\w+|TERM|COLUMNS|LINES|EDITOR|VISUAL|PAGER|DISPLAY"
    r"|NO_COLOR|FORCE_COLOR|CI|DEBUG|VERBOSE|LOG_LEVEL|XDG_\w+|PYTHON\w*|VIRTUAL_ENV|CONDA_\w+|NODE_(ENV|OPTIONS|PATH)|APPDATA|LOCALAPPDATA|PROGRAMFILES"
    r"|SYSTEMROOT|WINDIR|COMSPEC|OS|OSTYPE|HOSTNAME|(HTTP|HTTPS|NO|ALL)_PROXY|(http|https|no|all)_proxy|BASH\w*|ZSH\w*|IFS|RANDOM|SECONDS|UID|EUID|PPID"
    r"|PIPESTATUS|LINENO|FUNCNAME|OPTARG|OPTIND|REPLY|SKILL_DIR|CLAUDE_\w+|OPENCLAW_\w+|ARGUMENTS|GITHUB_(ACTIONS|WORKSPACE|OUTPUT)"
)
# A count or a file of `TOKENS` is a model's, not a key.
_SECRET_NAME = re.compile(r"KEY|TOKEN(?!S|IZ)|SECRET|PASSW|CREDENTIAL")
_NETWORK_WORDS = re.compile(
    r"(?i)https?://|\b(?:api|apis|web|website|url|urls|http|https|internet|network|online|server|download\w*|upload\w*|fetch\w*|remote|webhook\w*|endpoint\w*|browser|smtp|imap|e-?mail)\b"
)
_SHELL_NETWORK = re.compile(
    r"(?:^|[\s;&|(`$])(curl|wget|nc|ncat|ssh|scp|rsync|Invoke-WebRequest|Invoke-RestMethod)\s"
)
_SHELL_VARIABLE = re.compile(r"\$\{?([A-Z][A-Z0-9_]{2,})\b")
_SHELL_SETS = re.compile(
    r"(?:^|[\s;&|(])(?:export\s+|local\s+|readonly\s+|declare\s+(?:-\w+\s+)?|for\s+|read\s+(?:-\w+\s+)*)?([A-Z][A-Z0-9_]{2,})(?==|\s+in\s|\s*$)"
)


def undeclared_findings(
    texts: list[TextFile], declared: Declared, named: frozenset[str]
) -> Iterator[Finding]:
    """Network and environment use in code that neither the manifest nor the skill's Markdown speaks of."""
    prose = "\n".join(file.text for file in texts if file.kind == "markdown")
    for file in texts:
        if is_test(file.name):
            continue
        yield from _network_findings(file, declared, prose)
        for variable, line in _variables(file).items():
            if COMMON_VARIABLES.fullmatch(variable) or variable in declared.env or variable in named:
                continue
            if not declared.has_manifest and re.search(rf"\b{re.escape(variable)}\b", prose):
                continue
            severity: Severity = "medium" if declared.has_manifest else "low"
            yield _found(
                file,
                "undeclared-env",
                severity,
                line,
                f"reads the variable `{variable}`, which {_promise(declared)}",
            )


def _network_findings(file: TextFile, declared: Declared, prose: str) -> Iterator[Finding]:
    line, what = _network_use(file)
    if not line:
        return
    if not declared.has_manifest:
        if not _NETWORK_WORDS.search(prose):
            yield _found(
                file,
                "undeclared-network",
                "low",
                line,
                f"uses the network ({what}), which {_promise(declared)}",
            )
        return
    if not declared.network:
        yield _found(
            file,
            "undeclared-network",
            "medium",
            line,
            f"uses the network ({what}), which {_promise(declared)}",
        )
        return
    for number, text in enumerate(file.lines, 1):
        for host in sorted({places.host_of(url) for url in places.urls(text)}):
            if host and not any(_allows(pattern, host) for pattern in declared.network):
                yield _found(
                    file,
                    "undeclared-network",
                    "medium",
                    number,
                    f"names the host `{host}`, which {_promise(declared)}",
                )


def _network_use(file: TextFile) -> tuple[int, str]:
    if file.kind == "python":
        network = python_code.python_use(file).network
        return next(((line, module) for module, line in network.items()), (0, ""))
    if file.kind == "javascript":
        return javascript.network_line(file), "a request"
    if file.kind == "shell":
        for number, line in enumerate(file.lines, 1):
            if not line.lstrip().startswith("#") and (match := _SHELL_NETWORK.search(line)):
                return number, match[1]
    return 0, ""


def _variables(file: TextFile) -> dict[str, int]:
    if file.kind == "python":
        return python_code.python_use(file).env
    if file.kind == "javascript":
        return javascript.variables(file)
    if file.kind != "shell":
        return {}
    # A script's own variables are upper case as often as not: only what it never sets comes from outside.
    code = [(number, line) for number, line in enumerate(file.lines, 1) if not line.lstrip().startswith("#")]
    own = {match[1] for _, line in code for match in _SHELL_SETS.finditer(line)}
    found: dict[str, int] = {}
    for number, line in code:
        for match in _SHELL_VARIABLE.finditer(line):
            if match[1] not in own:
                found.setdefault(match[1], number)
    return found


def _allows(pattern: str, host: str) -> bool:
    name = pattern.lower().split(":")[0]
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))


def _promise(declared: Declared) -> str:
    return "the manifest does not declare" if declared.has_manifest else "SKILL.md does not mention"


def _found(file: TextFile, rule: str, severity: Severity, line: int, why: str) -> Finding:
    is_secret = rule == "undeclared-env" and bool(_SECRET_NAME.search(why))
    shown: Severity = "medium" if is_secret else severity
    return Finding(rule, shown, file.name, line, excerpt(file.lines[line - 1].strip()), why)
