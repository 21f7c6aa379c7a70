"""What a model's name stands for: which backend reaches it, where, with which key's variable, at what price.

A name is an alias of `orchestrate.toml`; `litellm:NAME`, `command:NAME`, `recorded:FILE` or `your.module:Factory`;
`provider/NAME`; or bare, and then the price table knows its provider. A name that nobody knows is sent as it was
typed to the endpoint of OpenAI's variables.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import ModelUnavailable, UsageError
from orchestrator.models.prices import knows_provider, price_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.settings import ModelSettings, Settings

WINDOW_TOKENS = 128_000
MAX_TOKENS = 8_192
"""Where neither the settings nor the price table say anything."""

Backend = Literal["chat", "litellm", "command", "host", "recorded", "factory"]

_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Target:
    """A model as it is asked. It names the variable of a key and never holds one.

    `usd_in` and `usd_out` are dollars a token, None where nobody knows the price. `command` are the settings of a
    program, `headers` as written.
    """

    name: str  # as it was asked for
    backend: Backend
    model: str  # as the endpoint is told
    provider: str = ""
    api_base: str | None = None
    key_env: tuple[str, ...] = ()  # variables that may hold the key, the first that is set counts
    key_header: str = "Authorization"
    needs: tuple[str, ...] = ()  # variables without which nothing works; `A|B` is one of the two
    headers: Mapping[str, str] = field(default_factory=dict)
    window_tokens: int = WINDOW_TOKENS
    max_tokens: int = MAX_TOKENS
    usd_in: float | None = None
    usd_out: float | None = None
    timeout_s: float = 300.0
    retries: int = 3
    stream: bool = False
    json_schema: bool = True
    fallbacks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    command: Any = None


@dataclass(frozen=True, slots=True)
class Provider:
    """An endpoint that speaks OpenAI's chat completions."""

    name: str
    base: str | None  # None: a variable has to say
    base_env: tuple[str, ...] = ()
    key_env: tuple[str, ...] = ()
    needs_key: bool = True
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_free: bool = False  # it runs on a machine of the user's own


_PORTKEY = {
    "x-portkey-provider": "$PORTKEY_PROVIDER",
    "x-portkey-virtual-key": "$PORTKEY_VIRTUAL_KEY",
    "x-portkey-config": "$PORTKEY_CONFIG",
    "Authorization": "Bearer $PORTKEY_PROVIDER_KEY",
}

PROVIDERS = {
    one.name: one
    for one in (
        Provider("openai", "https://api.openai.com/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE"), ("OPENAI_API_KEY",)),
        Provider("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_BASE",), ("OPENROUTER_API_KEY",)),
        Provider("hosted_vllm", None, ("HOSTED_VLLM_API_BASE",), ("HOSTED_VLLM_API_KEY",), needs_key=False, is_free=True),
        Provider("ollama", "http://localhost:11434", ("OLLAMA_API_BASE", "OLLAMA_HOST"), needs_key=False, is_free=True),
        Provider("ollama_chat", "http://localhost:11434", ("OLLAMA_API_BASE", "OLLAMA_HOST"), needs_key=False, is_free=True),
        Provider("lm_studio", "http://localhost:1234/v1", ("LM_STUDIO_API_BASE",), ("LM_STUDIO_API_KEY",), needs_key=False, is_free=True),
        Provider("deepseek", "https://api.deepseek.com/v1", ("DEEPSEEK_API_BASE",), ("DEEPSEEK_API_KEY",)),
        Provider("groq", "https://api.groq.com/openai/v1", ("GROQ_API_BASE",), ("GROQ_API_KEY",)),
        Provider(
            "portkey", "https://api.portkey.ai/v1", ("PORTKEY_API_BASE", "PORTKEY_GATEWAY_URL"), ("PORTKEY_API_KEY",),
            key_header="x-portkey-api-key", headers=_PORTKEY,
        ),
    )
}  # fmt: skip
"""Providers that are spoken to directly. All others go through litellm."""

THROUGH_LITELLM: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY|ANTHROPIC_AUTH_TOKEN",),
    "gemini": ("GEMINI_API_KEY|GOOGLE_API_KEY",),
    "azure": ("AZURE_API_KEY|AZURE_AD_TOKEN", "AZURE_API_BASE", "AZURE_API_VERSION"),
    "mistral": ("MISTRAL_API_KEY",),
    "cohere": ("COHERE_API_KEY|CO_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY|TOGETHER_API_KEY",),
    "fireworks_ai": ("FIREWORKS_API_KEY|FIREWORKS_AI_API_KEY",),
    "perplexity": ("PERPLEXITYAI_API_KEY|PERPLEXITY_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
}
"""Variables that providers behind litellm need, of those that many people use."""

MORE_OF_LITELLM = frozenset({"huggingface", "bedrock_converse", "vertex_ai_beta", "litellm_proxy"})
"""Providers of litellm that the price table has no model of."""


def resolve(name: str, settings: Settings, environ: Mapping[str, str]) -> Target:
    """What a name stands for. Raises UsageError for a name that means nothing, ModelUnavailable for what is not there."""
    alias = settings.models.get(name)
    if alias is None:
        return _plain(name, name, settings, environ, None)
    if alias.model in settings.models and alias.model != name:
        raise UsageError(
            f"the model `{name}` is `{alias.model}`, which is an alias too",
            hint="name the model itself in orchestrate.toml",
        )
    return _plain(alias.model, name, settings, environ, alias)


def missing_key(target: Target, environ: Mapping[str, str]) -> str | None:
    """The variable that a model needs and that is not set; None when all are there."""
    for need in target.needs:
        if not any(environ.get(one) for one in need.split("|")):
            return need.replace("|", " or ")
    return None


def configurable(settings: Settings) -> str:
    """What to do where no model is configured."""
    aliases = f"\n  aliases of orchestrate.toml: {', '.join(settings.models)}" if settings.models else ""
    return (
        "name one with --model, or as [models.default] in orchestrate.toml:\n"
        "  openai/gpt-5-mini, anthropic/claude-sonnet-4-5, gemini/gemini-2.5-flash, ...   with the provider's key in its variable\n"
        "  ollama/NAME, lm_studio/NAME, hosted_vllm/NAME                                 a model on a machine of yours\n"
        "  command:NAME                                                                  a program, as [commands.NAME] says\n"
        "  host                                                                          the agent that calls: see `docs/guides/host-model.md`\n"
        "  recorded:FILE                                                                 replies from a file or an earlier run"
        f"{aliases}"
    )


def _plain(
    text: str, name: str, settings: Settings, environ: Mapping[str, str], own: ModelSettings | None
) -> Target:
    kind, colon, rest = text.partition(":")
    if not text.strip() or text.endswith(":") or (text.endswith("/") and kind != "recorded"):
        raise UsageError(f"the model `{text}` has no name", hint=configurable(settings))
    if text == "host":
        return replace(_target(name, "host", text, own, retries=0), usd_in=0.0, usd_out=0.0)
    if colon and kind == "recorded":
        return _target(name, "recorded", rest, own, retries=0)
    if colon and kind == "command":
        return _command(name, rest, settings)
    if _FACTORY.fullmatch(text):
        return _target(name, "factory", text, own)
    if colon and kind == "litellm":
        return _through_litellm(name, rest, own)
    provider, slash, model = text.partition("/")
    if slash and provider in PROVIDERS:
        return _chat(name, PROVIDERS[provider], model, text, environ, own)
    if slash and (price_of(text) is not None or provider in THROUGH_LITELLM):
        return _through_litellm(name, text, own)
    if own is not None and own.api_base is not None:
        return _chat(name, PROVIDERS["openai"], text, text, environ, own)
    price = price_of(text)
    if price is not None and price.provider and price.provider not in PROVIDERS:
        return _through_litellm(name, _of_gemini(text, price.provider, environ), own)
    if slash and (provider in MORE_OF_LITELLM or knows_provider(provider)):
        return _through_litellm(name, text, own)
    of_table = (
        PROVIDERS[price.provider]
        if price is not None and price.provider in PROVIDERS
        else PROVIDERS["openai"]
    )
    return _chat(name, of_table, text, text, environ, own)


def _of_gemini(text: str, provider: str, environ: Mapping[str, str]) -> str:
    """A bare name that Vertex AI and Gemini both have: Gemini's, which takes a key, unless a project is set."""
    has_project = any(environ.get(one) for one in ("VERTEXAI_PROJECT", "VERTEX_PROJECT"))
    is_both = provider.startswith("vertex_ai") and price_of(f"gemini/{text}") is not None
    return f"gemini/{text}" if is_both and not has_project else text


def _chat(
    name: str,
    provider: Provider,
    model: str,
    full: str,
    environ: Mapping[str, str],
    own: ModelSettings | None,
) -> Target:
    base = (own.api_base if own else None) or next(
        (environ[one] for one in provider.base_env if environ.get(one)), provider.base
    )
    if base is None:
        raise ModelUnavailable(
            f"`{full}` needs the variable `{provider.base_env[0]}`, which is not set",
            hint=f"export {provider.base_env[0]}=http://HOST:PORT/v1, or give `api_base` in orchestrate.toml",
        )
    if provider.name.startswith("ollama"):
        base = base if "://" in base else f"http://{base}"
        base = base if base.rstrip("/").endswith("/v1") else f"{base.rstrip('/')}/v1"
    if not base.startswith(("http://", "https://")):
        raise UsageError(
            f"`{base}` is no address to reach `{full}` at", hint="it has to begin with http:// or https://"
        )
    target = _target(name, "chat", model, own, price_name=full)
    own_place = own is not None and own.api_base is not None
    # A key goes to another address than its provider's only where the settings say which.
    key_env = (own.key_env,) if own and own.key_env else () if own_place else provider.key_env
    free = provider.is_free and (own is None or own.usd_in is None)  # even if a paid model has the same name
    needs_key = bool(own and own.key_env) or (provider.needs_key and not own_place)
    return replace(
        target,
        usd_in=0.0 if free else target.usd_in,
        usd_out=0.0 if free and (own is None or own.usd_out is None) else target.usd_out,
        provider=provider.name,
        api_base=base.rstrip("/"),
        key_env=key_env,
        key_header=provider.key_header,
        needs=("|".join(key_env),) if needs_key and key_env else (),
        headers={**provider.headers, **(own.headers if own else {})},
    )


def _through_litellm(name: str, model: str, own: ModelSettings | None) -> Target:
    provider = (
        model.partition("/")[0] if "/" in model else (price.provider if (price := price_of(model)) else "")
    )
    needs = THROUGH_LITELLM.get(provider, ())
    if own and own.key_env:
        needs = (own.key_env,)
    elif own and own.api_base:
        needs = tuple(need for need in needs if "API_BASE" not in need)
    target = _target(name, "litellm", model, own)
    return replace(
        target,
        provider=provider,
        api_base=own.api_base if own else None,
        key_env=(own.key_env,) if own and own.key_env else (),
        needs=needs,
        headers=own.headers if own else {},
    )


def _command(name: str, wanted: str, settings: Settings) -> Target:
    command = settings.commands.get(wanted)
    if command is None:
        close = difflib.get_close_matches(wanted, settings.commands, n=1)
        known = f"known: {', '.join(settings.commands)}" if settings.commands else "there are none"
        raise UsageError(
            f"no command named `{wanted}` in orchestrate.toml ({known})",
            hint=f"did you mean `command:{close[0]}`?"
            if close
            else f'add [commands.{wanted}] with argv = ["program", ...]',
        )
    return Target(
        name, "command", wanted, window_tokens=command.window, max_tokens=command.max_tokens,
        timeout_s=command.timeout_s, retries=command.retries, command=command,
    )  # fmt: skip


def _target(
    name: str,
    backend: Backend,
    model: str,
    own: ModelSettings | None,
    *,
    price_name: str | None = None,
    retries: int = 3,
) -> Target:
    """A target with what the settings say, else the price table, else the defaults."""
    price = price_of(price_name or model) or price_of((price_name or model).partition("/")[2])
    longest = price.max_output_tokens if price else None
    table = Target(
        name,
        backend,
        model,
        window_tokens=(price.window_tokens if price else None) or WINDOW_TOKENS,
        max_tokens=min(MAX_TOKENS, longest or MAX_TOKENS),
        usd_in=price.usd_in if price else None,
        usd_out=price.usd_out if price else None,
        retries=retries,
    )
    if own is None:
        return table
    return replace(
        table,
        window_tokens=own.window or table.window_tokens,
        max_tokens=own.max_tokens or table.max_tokens,
        usd_in=table.usd_in if own.usd_in is None else own.usd_in / 1e6,
        usd_out=table.usd_out if own.usd_out is None else own.usd_out / 1e6,
        timeout_s=own.timeout_s,
        retries=own.retries if backend != "recorded" else 0,
        stream=own.stream,
        json_schema=own.json_schema,
        fallbacks=own.fallbacks,
        options=own.options,
    )
