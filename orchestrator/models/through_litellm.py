"""Models of all other providers, through litellm.

litellm takes seconds to import and would fetch a price list when it is; both are seen to here, before it is imported.
Its own retries, cache, router and callbacks stay unused: trying again and paying is the run's.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed
from orchestrator.models.chat_wire import QUOTA
from orchestrator.models.model import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.errors import ModelFault
    from orchestrator.models.model import Finish, Prompt
    from orchestrator.models.names import Target

SAID_CHARS = 400
_OWN_NAMES = re.compile(r"litellm\.\w+: ")  # it says the class of an error in front of it, often twice

FAULTS: tuple[tuple[str, ModelFault, bool], ...] = (
    ("ContextWindowExceededError", "too_long", False),
    ("AuthenticationError", "auth", False),
    ("PermissionDeniedError", "auth", False),
    ("BudgetExceededError", "quota", False),
    ("NotFoundError", "unknown_model", False),
    ("Timeout", "timeout", True),
    ("RateLimitError", "rate", True),
    ("ServiceUnavailableError", "server", True),
    ("BadGatewayError", "server", True),
    ("InternalServerError", "server", True),
    ("APIConnectionError", "connection", True),
    ("APIResponseValidationError", "junk", True),
    ("JSONSchemaValidationError", "junk", True),
    ("BadRequestError", "rejected", False),
    ("UnprocessableEntityError", "rejected", False),
    ("APIError", "server", True),
)
"""litellm's exceptions by name, the narrower before the wider: the fault, and whether the same request may work later."""


class ThroughLitellm:
    """One model that litellm reaches. It sends one request for each `complete`."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self._target = target
        self._key = next((environ[one] for one in target.key_env if environ.get(one)), None)
        self._fields: dict[str, Any] = {
            "model": target.model,
            "timeout": target.timeout_s,
            "max_retries": 0,
            "drop_params": True,
            **({"api_base": target.api_base} if target.api_base else {}),
            **({"api_key": self._key} if self._key else {}),
            **({"extra_headers": dict(target.headers)} if target.headers else {}),
            **target.options,
        }

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply. Raises ModelFailed."""
        litellm = _litellm()
        fields: dict[str, Any] = {
            **self._fields,
            "messages": [{"role": one.role, "content": one.content} for one in prompt.messages],
            "max_tokens": prompt.max_tokens,
        }
        if prompt.schema is not None and self._target.json_schema:
            described = {"name": "answer", "schema": dict(prompt.schema)}
            fields["response_format"] = {"type": "json_schema", "json_schema": described}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                response = await litellm.acompletion(**fields)
        except Exception as error:  # noqa: BLE001  (litellm raises what its transports raise, and plain Exception)
            raise self._failed(error) from None
        return _reply(response)

    async def close(self) -> None:
        """Close the connections that litellm keeps for this loop."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await _litellm().close_litellm_async_clients()

    def _failed(self, error: Exception) -> ModelFailed:
        names = {kind.__name__ for kind in type(error).__mro__}
        fault: ModelFault
        fault, retryable = next(
            ((fault, again) for name, fault, again in FAULTS if name in names), ("server", True)
        )
        said = str(error)
        if QUOTA.search(said) and fault in ("rate", "rejected"):
            fault, retryable = "quota", False
        if "Connection error" in said or "Cannot connect" in said:
            fault, retryable = "connection", True
        if "Error converting to valid response" in said:  # what came back was no reply, whatever it is called
            fault, retryable = "junk", True
        if self._key:
            said = said.replace(self._key, "[key]")
        return ModelFailed(
            f"{type(error).__name__}: {' '.join(_OWN_NAMES.sub('', said).split())[:SAID_CHARS]}",
            fault,
            retryable=retryable,
            retry_after_s=_retry_after_s(error),
            was_sent=fault in ("timeout", "junk"),
            hint="the key is not accepted: look at the variable that holds it" if fault == "auth" else "",
        )


def warm() -> None:
    """Import it."""
    _litellm()


@cache
def _litellm() -> Any:
    """The module, quiet, and kept from the network."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ.setdefault("LITELLM_TELEMETRY", "False")
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.turn_off_message_logging = True
    return litellm


def _reply(response: Any) -> Reply:
    choices = getattr(response, "choices", None)
    if not choices:
        raise ModelFailed("the reply has no choices", "junk", retryable=True, was_sent=True)
    content = choices[0].message.content
    usage = getattr(response, "usage", None)
    ends: dict[Any, Finish] = {"length": "length", "content_filter": "filtered"}
    return Reply(
        content if isinstance(content, str) else "",
        getattr(usage, "prompt_tokens", None),
        getattr(usage, "completion_tokens", None),
        _cost(response),
        ends.get(choices[0].finish_reason, "stop"),
    )


def _cost(response: Any) -> float | None:
    """What litellm takes it to cost; None where it has no price, which is not the same as nothing."""
    try:
        cost = _litellm().completion_cost(completion_response=response)
    except Exception:  # noqa: BLE001  (it raises plain Exception for a model without a price)
        return None
    return float(cost) if cost else None


def _retry_after_s(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(float(headers.get("retry-after", "")), 600.0)
    except (TypeError, ValueError):
        return None
