"""What Python code does, read from its syntax tree and never run.

Names are followed one step: a variable that holds a decoded or downloaded text, a path put together from parts.
Comments, docstrings and plain tables of strings are no findings.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from audit_rules import commands, places
from audit_rules.finding import Finding, Severity, excerpt, is_test, lowered
from audit_rules.tree import TextFile

NETWORK_MODULES = frozenset({
    "socket", "ssl", "http.client", "urllib.request", "urllib3", "requests", "httpx", "aiohttp", "websocket",
    "websockets", "ftplib", "smtplib", "imaplib", "poplib", "telnetlib", "xmlrpc.client", "paramiko",
    "pycurl", "boto3", "botocore", "google.cloud", "openai", "anthropic", "slack_sdk", "tweepy", "playwright",
    "selenium", "grpc", "pymongo", "redis", "psycopg", "psycopg2",
})  # fmt: skip
_SHELL_CALLS = frozenset({
    "os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.Popen", "subprocess.check_call",
    "subprocess.check_output", "subprocess.getoutput", "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec", "run", "call", "Popen",
    "check_output", "check_call", "system", "popen",
})  # fmt: skip
_DECODERS = frozenset(
    {"b64decode", "b32decode", "b85decode", "a85decode", "fromhex", "unhexlify", "decompress"}
)
_FETCHERS = re.compile(
    r"^(?:urllib\.request\.|request\.)?urlopen$|^(?:requests|httpx)\.(?:get|post|request)$|^urlopen$"
)
_RUNNERS = ("exec", "eval", "compile", "__import__", "system", "popen", "Popen")
_PATH_CALLS = frozenset({
    "open", "Path", "expanduser", "expandvars", "join", "joinpath", "read_text", "read_bytes", "glob",
    "iglob", "rglob", "listdir", "walk", "copy", "copy2", "copyfile", "copytree", "connect",
})  # fmt: skip
_WRITERS = frozenset({"write_text", "write_bytes"})
_COPIERS = frozenset({"copy", "copy2", "copyfile", "move", "replace", "rename"})
_SENDERS = re.compile(
    r"^(?:requests|httpx|session|client|aiohttp)\.(?:post|put|patch|get|request)$|urlopen$|Request$|\.sendall?$|urlencode$|^json\.dumps$"
)


@dataclass
class PythonUse:
    """What a file uses of the world outside: modules for the network, and variables by name."""

    network: dict[str, int] = field(default_factory=dict)  # module or host, and its line
    env: dict[str, int] = field(default_factory=dict)


def parsed(file: TextFile) -> ast.Module | None:
    """The file's syntax tree, or None when this Python can't read it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(file.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=512)  # three rules ask for each file; the value is shared, so nobody may change it
def python_use(file: TextFile) -> PythonUse:
    """Network modules that are imported and environment variables that are read by a literal name."""
    use = PythonUse()
    tree = parsed(file)
    for node in ast.walk(tree) if tree else ():
        for module in _imported(node):
            if any(module == name or module.startswith(name + ".") for name in NETWORK_MODULES):
                use.network.setdefault(module, node.lineno)  # type: ignore[attr-defined]  # imports have lines
        name = _variable(node)
        if name:
            use.env.setdefault(name, node.lineno)  # type: ignore[attr-defined]  # expressions have lines
    return use


def python_findings(file: TextFile, *, is_example: bool = False) -> Iterator[Finding]:
    """Code that runs decoded or downloaded text, reads or sends secrets, or changes an agent's files.

    Code that can't be parsed is `info`: another Python may run it. An example in Markdown need not parse.
    """
    tree = parsed(file)
    if tree is None:
        if not is_example:
            yield Finding(
                "unreadable",
                "info",
                file.name,
                1,
                excerpt(file.lines[0]),
                "no Python that can be parsed here",
            )
        return
    nodes = list(ast.walk(tree))
    names = _assigned(nodes)
    has_network = bool(python_use(file).network)
    for node in nodes:
        if isinstance(node, ast.Call):
            for rule, severity, why in _call_findings(node, names, has_network=has_network):
                yield _finding(file, node, rule, severity, why)
            yield from _shell_findings(file, node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            for rule, severity, why in _path_findings(_joined(node), has_network=has_network):
                yield _finding(file, node, rule, severity, why)


def _call_findings(
    node: ast.Call, names: dict[str, ast.expr], *, has_network: bool
) -> Iterator[tuple[str, Severity, str]]:
    called = _dotted(node.func)
    last = called.rsplit(".", 1)[-1]
    if called in ("exec", "eval", "builtins.exec", "builtins.eval") and node.args:
        inner = {_dotted(call.func) for call in _calls_in(node.args[0], names)}
        if any(_is_decoder(name) for name in inner):
            yield "encoded-payload", "high", "decodes a text and runs it, so that it can't be read before"
        elif any(_FETCHERS.search(name) for name in inner):
            yield "download-and-run", "high", "runs what it downloads, unseen"
    if called == "getattr" and (hidden := _hidden_name(node)):
        yield (
            "encoded-payload",
            "high",
            f"puts the name `{hidden}` together, so that it can't be searched for",
        )
    if _SENDERS.search(called) and has_network and _holds_whole_environment(node):
        yield (
            "exfiltration",
            "high",
            "packs all environment variables, keys among them, in a file that uses the network",
        )
    if last in _PATH_CALLS:
        yield from _path_findings(_joined(node), has_network=has_network)
    target = _written_path(node, last, names)
    if target:
        yield from _agent_findings(target)


def _hidden_name(node: ast.Call) -> str:
    """A name that runs code, where it is put together from pieces; honest code has no reason to."""
    if len(node.args) < 2 or isinstance(node.args[1], ast.Constant):
        return ""
    name = "".join(_literals(node.args[1]))
    return next((known for known in _RUNNERS if name in (known, known[::-1])), "")


def _path_findings(path: str, *, has_network: bool) -> Iterator[tuple[str, Severity, str]]:
    if places.SECRET_PATH.search(path) or places.AGENT_SECRET.search(path):
        if has_network:
            yield "secret-access", "high", "reads a file of secrets, in a file that uses the network"
        else:
            yield "secret-access", "medium", "reads a file of secrets"


def _agent_findings(target: str) -> Iterator[tuple[str, Severity, str]]:
    if places.AGENT_HOME.search(target) or places.SOUL_FILES.search(target):
        yield "agent-config", "high", "changes a file that steers the agent in later sessions"
    elif places.PROJECT_MEMORY.search(target):
        yield "agent-config", "medium", "changes a file that steers the agent in later sessions"
    elif places.STARTUP.search(target):
        yield "persistence", "medium", "changes what the machine runs by itself"


def _shell_findings(file: TextFile, node: ast.Call) -> Iterator[Finding]:
    called = _dotted(node.func)
    if called not in _SHELL_CALLS or not node.args:
        return
    text = " ".join(_literals(node.args[0]))
    yield from commands.command_findings([commands.Command(text, file.name, node.lineno, "script")])


def _finding(file: TextFile, node: ast.expr, rule: str, severity: Severity, why: str) -> Finding:
    line = file.lines[node.lineno - 1] if node.lineno <= len(file.lines) else ""
    # A test writes a home folder of its own; it may lie, and is run by nobody who doesn't ask for it.
    if rule in ("agent-config", "secret-access", "persistence") and is_test(file.name):
        severity = lowered(severity)
    return Finding(rule, severity, file.name, node.lineno, excerpt(line.strip()), why)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _variable(node: ast.AST) -> str | None:
    """The environment variable that an expression reads, where its name is written out."""
    if isinstance(node, ast.Call) and _dotted(node.func) in (
        "os.getenv",
        "getenv",
        "os.environ.get",
        "environ.get",
    ):
        key = node.args[0] if node.args else None
    elif isinstance(node, ast.Subscript) and _dotted(node.value) in ("os.environ", "environ"):
        if not isinstance(node.ctx, ast.Load):
            return None
        key = node.slice
    else:
        return None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _assigned(nodes: list[ast.AST]) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _calls_in(node: ast.expr, names: dict[str, ast.expr]) -> Iterator[ast.Call]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            yield inner
        elif isinstance(inner, ast.Name) and inner.id in names:
            yield from (call for call in ast.walk(names[inner.id]) if isinstance(call, ast.Call))


def _is_decoder(name: str) -> bool:
    return name.rsplit(".", 1)[-1] in _DECODERS or name in ("codecs.decode", "marshal.loads")


def _holds_whole_environment(node: ast.Call) -> bool:
    """Whether an argument is the environment itself, not one variable of it and not a child's `env=`."""
    values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg != "env")]
    for value in values:
        inner = (
            value.args[0]
            if isinstance(value, ast.Call) and _dotted(value.func) in ("dict", "str") and value.args
            else value
        )
        if isinstance(inner, ast.Call) and _dotted(inner.func) in ("os.environ.copy", "os.environ.items"):
            return True
        if _dotted(inner) == "os.environ":
            return True
    return False


def _written_path(node: ast.Call, last: str, names: dict[str, ast.expr]) -> str:
    """The literal parts of the path that a call writes to, or an empty text."""

    def path_of(path: ast.expr) -> str:
        return _joined(names.get(path.id, path) if isinstance(path, ast.Name) else path)

    if last == "open":
        mode = next((text for argument in node.args[-1:] for text in _literals(argument)), "")
        mode = next(
            (text for word in node.keywords if word.arg == "mode" for text in _literals(word.value)), mode
        )
        is_method = isinstance(node.func, ast.Attribute) and _dotted(node.func) not in (
            "io.open",
            "codecs.open",
        )
        path = (
            node.func.value
            if is_method and isinstance(node.func, ast.Attribute)
            else (node.args or [None])[0]
        )
        return path_of(path) if path is not None and re.fullmatch(r"[rbt]*[wax+][rwaxbt+]*", mode) else ""
    if last in _WRITERS and isinstance(node.func, ast.Attribute):
        return path_of(node.func.value)
    if last in _COPIERS and len(node.args) > 1:
        return path_of(node.args[-1])
    return ""


def _joined(node: ast.expr) -> str:
    """The literal parts of an expression as one path, so that `home / ".ssh" / "id_rsa"` reads as written out."""
    return "/" + "/".join(_literals(node))


def _literals(node: ast.expr) -> list[str]:
    """The text constants of an expression from left to right."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return ["".join([*_literals(node.left), *_literals(node.right)])]
    parts: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            parts.extend(_literals(child))
    return parts


def _dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute; an empty part where it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call) and _dotted(node.func) == "__import__":
        return ".".join(_literals(node)[:1])
    return ""
