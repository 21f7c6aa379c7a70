"""What the names that people type stand for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.errors import ModelUnavailable, UsageError
from orchestrator.models.names import configurable, missing_key, resolve
from orchestrator.models.prices import closest, price_of
from orchestrator.models.settings import CommandSettings, ModelSettings, Settings


@pytest.mark.parametrize(
    ("name", "environ", "expected"),
    [
        ("openai/gpt-4o", {}, ("chat", "gpt-4o", "openai", "https://api.openai.com/v1")),
        ("gpt-4o", {"OPENAI_BASE_URL": "http://x/v1/"}, ("chat", "gpt-4o", "openai", "http://x/v1")),
        ("gpt-4o", {"OPENAI_API_BASE": "http://y"}, ("chat", "gpt-4o", "openai", "http://y")),
        ("who-knows-7b", {}, ("chat", "who-knows-7b", "openai", "https://api.openai.com/v1")),
        ("some/path/model", {}, ("chat", "some/path/model", "openai", "https://api.openai.com/v1")),
        ("openrouter/a/b", {}, ("chat", "a/b", "openrouter", "https://openrouter.ai/api/v1")),
        (
            "hosted_vllm/m",
            {"HOSTED_VLLM_API_BASE": "http://v/v1"},
            ("chat", "m", "hosted_vllm", "http://v/v1"),
        ),
        ("ollama/llama3:8b", {}, ("chat", "llama3:8b", "ollama", "http://localhost:11434/v1")),
        ("ollama/x", {"OLLAMA_HOST": "box:11434"}, ("chat", "x", "ollama", "http://box:11434/v1")),
        ("llama3:latest", {}, ("chat", "llama3:latest", "openai", "https://api.openai.com/v1")),
        ("host", {}, ("host", "host", "", None)),
        ("lm_studio/x", {}, ("chat", "x", "lm_studio", "http://localhost:1234/v1")),
        ("deepseek/deepseek-chat", {}, ("chat", "deepseek-chat", "deepseek", "https://api.deepseek.com/v1")),
        ("groq/x", {}, ("chat", "x", "groq", "https://api.groq.com/openai/v1")),
        ("portkey/x", {}, ("chat", "x", "portkey", "https://api.portkey.ai/v1")),
        ("anthropic/claude-sonnet-4-5", {}, ("litellm", "anthropic/claude-sonnet-4-5", "anthropic", None)),
        ("claude-sonnet-4-5", {}, ("litellm", "claude-sonnet-4-5", "anthropic", None)),
        ("gemini/gemini-2.5-flash", {}, ("litellm", "gemini/gemini-2.5-flash", "gemini", None)),
        ("gemini-2.5-flash", {}, ("litellm", "gemini/gemini-2.5-flash", "gemini", None)),
        (
            "gemini-2.5-flash",
            {"VERTEXAI_PROJECT": "p"},
            ("litellm", "gemini-2.5-flash", "vertex_ai-language-models", None),
        ),
        ("azure_ai/unknown", {}, ("litellm", "azure_ai/unknown", "azure_ai", None)),
        ("huggingface/a/b", {}, ("litellm", "huggingface/a/b", "huggingface", None)),
        ("recorded:runs/r1/", {}, ("recorded", "runs/r1/", "", None)),
        ("azure/mine", {}, ("litellm", "azure/mine", "azure", None)),
        ("bedrock/some.model", {}, ("litellm", "bedrock/some.model", "bedrock", None)),
        ("litellm:openai/gpt-4o", {}, ("litellm", "openai/gpt-4o", "openai", None)),
        ("recorded:/a/b.json", {}, ("recorded", "/a/b.json", "", None)),
        ("my.module:Factory", {}, ("factory", "my.module:Factory", "", None)),
    ],
)
def test_a_name_stands_for_a_model(name, environ, expected):
    target = resolve(name, Settings(), environ)
    assert (target.backend, target.model, target.provider, target.api_base) == expected
    assert target.name == name


def test_prices_and_windows_come_from_the_table_without_importing_litellm():
    target = resolve("openai/gpt-4o", Settings(), {})
    assert (target.window_tokens, target.usd_in, target.usd_out) == (128_000, 2.5e-06, 1e-05)
    code = "import sys\nfrom orchestrator.models.prices import price_of\nassert price_of('gpt-4o')\nassert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert price_of("no such model") is None
    assert "gpt-4o" in closest("gpt-4oo")
    assert closest("opnai/gpt-4o") == ["openai/gpt-4o"]


def test_a_model_on_a_machine_of_ones_own_is_free_and_an_unknown_one_has_no_price():
    assert resolve("ollama/who-knows", Settings(), {}).usd_in == 0.0
    assert resolve("openai/who-knows", Settings(), {}).usd_in is None
    own_machine = {"HOSTED_VLLM_API_BASE": "http://v/v1"}
    assert resolve("hosted_vllm/deepseek-chat", Settings(), own_machine).usd_in == 0.0  # the name has a price
    own = Settings({"a": ModelSettings("hosted_vllm/deepseek-chat", usd_in=1.0)})
    assert resolve("a", own, own_machine).usd_in == 1e-6


def test_an_alias_wins_over_the_table():
    own = ModelSettings(
        "openai/gpt-4o", window=5000, max_tokens=100, usd_in=1.0, usd_out=2.0, fallbacks=("b",), retries=1
    )
    target = resolve("fast", Settings({"fast": own}), {})
    assert (target.name, target.model, target.window_tokens, target.max_tokens) == (
        "fast",
        "gpt-4o",
        5000,
        100,
    )
    assert (target.usd_in, target.usd_out, target.fallbacks, target.retries) == (1e-6, 2e-6, ("b",), 1)


def test_an_address_of_ones_own_needs_no_key_unless_it_names_one():
    own = ModelSettings("m", api_base="http://x/v1")
    assert missing_key(resolve("a", Settings({"a": own}), {}), {}) is None
    assert resolve("a", Settings({"a": own}), {"OPENAI_API_KEY": "k"}).key_env == ()
    keyed = ModelSettings("m", api_base="http://x/v1", key_env="MINE")
    assert missing_key(resolve("a", Settings({"a": keyed}), {}), {}) == "MINE"


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY or GOOGLE_API_KEY"),
        ("azure/x", "AZURE_API_KEY or AZURE_AD_TOKEN"),
        ("ollama/x", None),
    ],
)
def test_the_variable_that_is_missing_is_named(name, missing):
    assert missing_key(resolve(name, Settings(), {}), {}) == missing


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("command:claud", UsageError, "no command named `claud`"),
        ("hosted_vllm/x", ModelUnavailable, "HOSTED_VLLM_API_BASE"),
        ("", UsageError, "has no name"),
        ("openai/", UsageError, "has no name"),
        ("litellm:", UsageError, "has no name"),
        ("recorded:", UsageError, "has no name"),
        ("twice", UsageError, "an alias too"),
    ],
)
def test_a_name_that_means_nothing_says_why(name, error, said):
    settings = Settings(
        {"twice": ModelSettings("once"), "once": ModelSettings("m")}, {"claude": CommandSettings(("x",))}
    )
    with pytest.raises(error, match=said) as caught:
        resolve(name, settings, {})
    if name == "command:claud":
        assert caught.value.hint == "did you mean `command:claude`?"


def test_what_can_be_configured_is_listed():
    said = configurable(Settings({"fast": ModelSettings("m")}))
    assert all(
        word in said for word in ("--model", "[models.default]", "command:NAME", "recorded:FILE", "fast")
    )


def test_an_address_without_a_scheme_is_refused_before_anything_is_sent():
    with pytest.raises(UsageError, match=r"`127\.0\.0\.1:99` is no address"):
        resolve("openai/x", Settings(), {"OPENAI_BASE_URL": "127.0.0.1:99"})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("hots", "host"), ("comand:claude", "command:claude"), ("recoded:a.yaml", "recorded:a.yaml")],
)
def test_a_mistyped_form_of_ours_comes_before_names_of_the_table(typed, meant):
    assert closest(typed) == [meant]
