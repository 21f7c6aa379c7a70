"""Names of places: secrets, an agent's own configuration, hosts. One table each, shared by all rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import urlsplit

HostKind = Literal["local", "known", "plain", "risky"]

# A path of which even reading is worth a look. Public halves, configuration and known hosts are not.
SECRET_PATH = re.compile(
    r"""(?x)
    (?:^|[\s"'`=@(<{/\\~:])(?:
      \.ssh[/\\](?:id_(?:rsa|dsa|ecdsa|ed25519)\b(?!\.pub)|\*|identity\b)
    | \.ssh[/\\]?(?=["'`\s;|)]|$)
    | \.aws[/\\](?:credentials|sso[/\\]cache)\b
    | \.aws[/\\]?(?=["'`\s;|)]|$)
    | \.gnupg\b | \.netrc\b | \.pgpass\b | \.git-credentials\b | \.pypirc\b
    | \.kube[/\\]config\b | \.docker[/\\]config\.json | \.config[/\\]gcloud\b | \.azure[/\\]
    | \.config[/\\](?:gh[/\\]hosts\.yml|solana[/\\]id\.json) | \.ethereum[/\\]keystore | wallet\.dat\b
    | Library[/\\]Keychains\b | login\.keychain
    | etc[/\\]shadow\b
    | (?:Google[/\\]Chrome|google-chrome|Chromium|BraveSoftware|Microsoft[/\\]Edge|Firefox[/\\]Profiles)[^"'`\n]*
      (?:Login\ Data|Cookies|logins\.json|key4\.db|Local\ State)
    )"""
)
AGENT_SECRET = re.compile(
    r"""(?x)(?:^|[\s"'`=@(<{/\\~:])(?:
      \.claude[/\\]\.credentials\.json | \.claude\.json\b | \.codex[/\\]auth\.json | \.gemini[/\\]oauth_creds\.json
    | \.(?:openclaw|clawdbot|clawdis|moltbot)[/\\](?:\.env\b|credentials\b|agents[/\\][^\s"'`]*auth[^\s"'`]*|(?:openclaw|clawdbot|moltbot)\.json)
    )"""
)
# Files that steer an agent in each later session.
AGENT_HOME = re.compile(
    r"""(?x)(?:~|\$\{?HOME\}?|home\(\)|/(?:home|Users)/[^/\s"'`]+|/root|expanduser)?[/\\"'()\s]*
    \.(?:claude[/\\](?:CLAUDE\.md|settings(?:\.local)?\.json|hooks\b|agents[/\\])
     |(?:openclaw|clawdbot|clawdis|moltbot)[/\\](?:(?:openclaw|clawdbot|moltbot)\.json|workspace[/\\][^\s"'`]*\.md)
     |codex[/\\](?:AGENTS\.md|config\.toml)|cursor[/\\](?:mcp\.json|rules\b)|gemini[/\\](?:GEMINI\.md|settings\.json))
    | \bclawd[/\\][A-Z]+\.md"""
)
SOUL_FILES = re.compile(r"\b(?:SOUL|IDENTITY|HEARTBEAT|BOOTSTRAP|BOOT)\.md\b")
PROJECT_MEMORY = re.compile(r"\b(?:MEMORY|AGENTS|CLAUDE|GEMINI|USER|TOOLS)\.md\b|\.cursorrules\b")
# What a shell, a scheduler or a login runs by itself.
STARTUP = re.compile(
    r"""(?x)\.(?:bashrc|bash_profile|bash_login|profile|zshrc|zshenv|zprofile|zlogin)\b
    | /etc/(?:cron|profile|rc\.local|systemd/system) | /var/spool/cron
    | Library[/\\]Launch(?:Agents|Daemons) | \.config[/\\](?:systemd[/\\]user|autostart|fish[/\\]config\.fish)
    | \.ssh[/\\](?:authorized_keys|rc)\b | Start\ Menu[/\\]Programs[/\\]Startup"""
)
DOTENV = re.compile(r"(?:^|[\s\"'`=@(<{/\\])\.env(?:\.local|\.production)?(?=[\"'`\s;|)]|$)")

# Installers that many good skills tell their users to run.
KNOWN_INSTALLERS = (
    "astral.sh/", "sh.rustup.rs", "rustup.rs", "get.docker.com", "bun.sh/", "bun.com/", "deno.land/", "get.pnpm.io/",
    "install.python-poetry.org", "bootstrap.pypa.io/", "deb.nodesource.com/", "rpm.nodesource.com/", "claude.ai/",
    "ollama.com/", "ollama.ai/", "fly.io/", "get.sdkman.io", "tailscale.com/", "sdk.cloud.google.com", "mise.run",
    "mise.jdx.dev", "starship.rs/", "pixi.sh/", "micro.mamba.pm/", "nixos.org/", "install.determinate.systems",
    "install.duckdb.org", "just.systems/", "cursor.com/", "openclaw.ai/", "foundry.paradigm.xyz", "get.helm.sh/",
    "community.chocolatey.org/", "get.scoop.sh", "fnm.vercel.app/", "cli.github.com/", "releases.hashicorp.com/",
    "raw.githubusercontent.com/Homebrew/", "raw.githubusercontent.com/nvm-sh/", "raw.githubusercontent.com/helm/",
    "raw.githubusercontent.com/ohmyzsh/", "raw.githubusercontent.com/rhasspy/", "github.com/astral-sh/",
)  # fmt: skip
# Where anybody can put a file under a name that says nothing, and where sent data is only collected.
_RISKY_HOSTS = frozenset({
    "pastebin.com", "glot.io", "rentry.co", "rentry.org", "hastebin.com", "paste.ee", "dpaste.com",
    "dpaste.org", "termbin.com", "transfer.sh", "0x0.st", "bit.ly", "tinyurl.com", "t.ly", "is.gd", "cutt.ly",
    "rb.gy", "file.io", "gofile.io", "catbox.moe", "files.catbox.moe", "anonfiles.com", "webhook.site",
    "requestbin.com", "interact.sh", "oast.fun", "oast.pro", "oast.live", "burpcollaborator.net",
})  # fmt: skip
_RISKY_ENDINGS = (
    ".onion",
    ".ngrok.io",
    ".ngrok-free.app",
    ".trycloudflare.com",
    ".pipedream.net",
    ".oast.fun",
    ".webhook.site",
)
_URL = re.compile(r"""https?://[^\s"'`<>()\[\]{}|;\\]+""", re.IGNORECASE)
_IP = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_LOCAL = re.compile(
    r"(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|\[?::1\]?|.*\.local(host)?)"
)


def urls(text: str) -> list[str]:
    """Every http and https address in a text."""
    return _URL.findall(text)


def host_of(url: str) -> str:
    """The host's name in lower case, or an empty text where it can't be told."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def host_kind(url: str) -> HostKind:
    """What can be said of where an address leads, without asking anybody."""
    host = host_of(url)
    if _LOCAL.fullmatch(host):
        return "local"
    if (
        host in _RISKY_HOSTS
        or host.endswith(_RISKY_ENDINGS)
        or _IP.fullmatch(host)
        or host.startswith("xn--")
    ):
        return "risky"
    bare = url.split("://", 1)[1].removeprefix("www.")
    if url.lower().startswith("http://"):
        return "risky"
    return "known" if bare.startswith(KNOWN_INSTALLERS) else "plain"


def riskiest(addresses: Iterable[str]) -> HostKind | None:
    """The kind of the worst address, or None when there is none."""
    order: tuple[HostKind, ...] = ("risky", "plain", "known", "local")
    kinds = {host_kind(address) for address in addresses}
    return next((kind for kind in order if kind in kinds), None)
