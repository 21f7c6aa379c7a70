"""Every provider's wire answers a whole run, through the model strings that people type, whatever goes wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from model_server import Answer, Fault, ModelServer

from orchestrator import app

pytestmark = pytest.mark.xdist_group("providers")  # litellm takes seconds to import: once is enough


@dataclass(frozen=True)
class Provider:
    model: str
    variables: dict[str, str]
    wire: str
    settings: str = ""
    headers: dict[str, str] = field(default_factory=dict)


OPENAI = {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": "{url}/v1"}

PROVIDERS = {
    "openai": Provider("openai/gpt-5-mini", OPENAI, "openai"),
    "openai-bare-name": Provider("gpt-4o-mini", OPENAI, "openai"),
    "openai-unknown-name": Provider("my-own-model", OPENAI, "openai"),
    "openai-streamed": Provider(
        "fast", OPENAI, "openai", '[models.fast]\nmodel = "openai/gpt-4o-mini"\nstream = true\n'
    ),
    "api-base": Provider(
        "mine",
        {"MY_KEY": "test-key-2"},
        "openai",
        '[models.mine]\nmodel = "anything"\napi_base = "{url}/v1"\nkey_env = "MY_KEY"\nusd_in = 1.0\nusd_out = 2.0\n',
    ),
    "openrouter": Provider(
        "openrouter/openai/gpt-4o-mini",
        {"OPENROUTER_API_KEY": "test-key", "OPENROUTER_API_BASE": "{url}/api/v1"},
        "openrouter",
    ),
    "vllm": Provider("hosted_vllm/llama", {"HOSTED_VLLM_API_BASE": "{url}/vllm/v1"}, "vllm"),
    "ollama": Provider("ollama/llama3:8b", {"OLLAMA_API_BASE": "{url}/ollama"}, "ollama"),
    "portkey": Provider(
        "portkey/gpt-4o-mini",
        {"PORTKEY_API_KEY": "test-key", "PORTKEY_API_BASE": "{url}/v1", "PORTKEY_PROVIDER": "openai"},
        "portkey",
        headers={"x-portkey-api-key": "test-key", "x-portkey-provider": "openai"},
    ),
    "deepseek": Provider(
        "deepseek/deepseek-chat", {"DEEPSEEK_API_KEY": "test-key", "DEEPSEEK_API_BASE": "{url}/v1"}, "openai"
    ),
    "groq": Provider(
        "groq/llama-3.1-8b-instant", {"GROQ_API_KEY": "test-key", "GROQ_API_BASE": "{url}/v1"}, "openai"
    ),
    "lm-studio": Provider(
        "lm_studio/local", {"LM_STUDIO_API_BASE": "{url}/v1", "LM_STUDIO_API_KEY": "test-key"}, "openai"
    ),
    "anthropic": Provider(
        "anthropic/claude-sonnet-4-5",
        {"ANTHROPIC_API_KEY": "test-key", "ANTHROPIC_API_BASE": "{url}"},
        "anthropic",
    ),
    "anthropic-bare-name": Provider(
        "claude-sonnet-4-5", {"ANTHROPIC_API_KEY": "test-key", "ANTHROPIC_API_BASE": "{url}"}, "anthropic"
    ),
    "gemini": Provider(
        "gemini/gemini-2.5-flash",
        {"GEMINI_API_KEY": "test-key", "GEMINI_API_BASE": "{url}"},
        "gemini",
        '[models."gemini/gemini-2.5-flash"]\nmodel = "gemini/gemini-2.5-flash"\napi_base = "{url}"\n',
    ),
    "azure": Provider(
        "azure/my-deployment",
        {"AZURE_API_KEY": "test-key", "AZURE_API_BASE": "{url}", "AZURE_API_VERSION": "2024-10-21"},
        "azure",
    ),
    "openai-through-litellm": Provider("litellm:openai/gpt-4o-mini", OPENAI, "openai"),
}

SCHEMA = "{'type': 'object', 'required': ['n'], 'properties': {'n': {'type': 'integer'}}}"
CELL = f"```repl\nsaid = llm_query('how are you?')\nn = llm_query('how many?', schema={SCHEMA})['n']\nFINAL([said, n])\n```"


def policy(seen):
    if seen.is_root:
        return Answer(CELL)
    return Answer('{"n": 7}' if "how many" in seen.last else "fine, thanks", tokens_in=11, tokens_out=3)


@pytest.fixture
def run(tmp_path, clean_variables):
    def run(provider: Provider, server: ModelServer, **request):
        for name, value in provider.variables.items():
            clean_variables.setenv(name, value.format(url=server.url))
        workspace = tmp_path / "work"
        workspace.mkdir(exist_ok=True)
        (workspace / "orchestrate.toml").write_text(provider.settings.replace("{url}", server.url))
        path = workspace / "w.md"
        path.write_text("# Ask\n\nAsk twice.\n")
        planned = app.plan(app.RunRequest(path, workspace=workspace, model=provider.model, **request))
        return asyncio.run(app.execute(planned))

    return run


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_answers_a_whole_run(name, run):
    provider = PROVIDERS[name]
    with ModelServer(policy) as server:
        result = run(provider, server)
        assert (result.status, result.answer) == ("answered", ["fine, thanks", 7]), result.message
        assert {seen.provider for seen in server.requests} == {provider.wire}
        assert all(provider.headers.items() <= seen.headers.items() for seen in server.requests)
        assert all(seen.max_tokens for seen in server.requests)
        assert result.usage.calls == server.counts.requests == 3
        assert result.usage.tokens == server.counts.tokens_in + server.counts.tokens_out
    if name == "openrouter":  # it says what it charged
        expected = server.counts.tokens_in * 1e-6 + server.counts.tokens_out * 2e-6
        assert result.usage.usd == pytest.approx(expected)
    if name == "api-base":
        expected = (server.counts.tokens_in * 1.0 + server.counts.tokens_out * 2.0) / 1e6
        assert result.usage.usd == pytest.approx(expected)


FAULTS = [
    Fault("status", 429, "0.01"),
    Fault("status", 500, "0.01"),
    None,
    Fault("cut"),
    Fault("junk"),
    None,
    Fault("slow", 0.3),
    None,
]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_answers_although_requests_fail(name, run):
    provider = PROVIDERS[name]
    with ModelServer(policy, faults=FAULTS) as server:
        result = run(provider, server)
        assert (result.status, result.answer) == ("answered", ["fine, thanks", 7]), result.message
        assert result.usage.calls == server.counts.requests == 7
