"""A workspace, a home without anything, and the variables of no provider but those that a test sets."""

from __future__ import annotations

import os

import pytest

PREFIXES = (
    "OPENAI",
    "ANTHROPIC",
    "GEMINI",
    "GOOGLE",
    "AZURE",
    "OPENROUTER",
    "PORTKEY",
    "HOSTED_VLLM",
    "OLLAMA",
    "DEEPSEEK",
    "GROQ",
    "LM_STUDIO",
)


@pytest.fixture
def clean_variables(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return monkeypatch
