"""Models of all other providers, through litellm.

litellm takes seconds to import and would fetch a price list when it is; both are seen to here, before it is imported.
Its own retries, cache, router and callbacks stay unused: trying again and paying is the run's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed
from orchestrator.models.chat_wire import is_quota, refuses_schema
from orchestrator.models.keys import headers_of, key_of, secrets_of, without
from orchestrator.models.model import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.errors import ModelFault
    from orchestrator.models.model import Finish, Prompt
    from orchestrator.models.names import Target

SAID_CHARS = 400
NOISE = (("", r"litellm(\.|$)"), ("Pydantic serializer warnings", ""), (r"Items? '", r"pydantic(\.|$)"))
"""Warnings that are litellm's, by the beginning of their message and the module."""

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


_OPEN: set[int] = set()
"""Models that are open in this process: litellm keeps one pool of connections for all of them."""


class ThroughLitellm:
    """One model that litellm reaches. It sends one request for each `complete`."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:
        self._target = target
        self._secrets = secrets_of(target, environ)
        self._was_used = False
        _OPEN.add(id(self))
        key, headers = key_of(target, environ), headers_of(target, environ)
        self._fields: dict[str, Any] = {
            "model": target.model,
            "timeout": target.timeout_s,
            "max_retries": 0,
            "drop_params": True,
            **({"api_base": target.api_base} if target.api_base else {}),
            **({"api_key": key} if key else {}),
            **({"extra_headers": headers} if headers else {}),
            **target.options,
        }

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply. Raises ModelFailed."""
        litellm = await _loaded()
        with_schema = self._target.json_schema and prompt.schema is not None
        fields: dict[str, Any] = {
            **self._fields,
            "messages": [{"role": one.role, "content": one.content} for one in prompt.messages],
            "max_tokens": prompt.max_tokens,
        }
        if prompt.schema is not None and with_schema:
            described = {"name": "answer", "schema": dict(prompt.schema)}
            fields["response_format"] = {"type": "json_schema", "json_schema": described}
        self._was_used = True
        _hush()
        try:
            response = await litellm.acompletion(**fields)
        except Exception as error:  # noqa: BLE001  (litellm raises what its transports raise, and plain Exception)
            failed = self._failed(error)
            if with_schema and refuses_schema(failed):
                failed.fault = "no_schema"
            raise failed from None
        return _reply(response, priced=self._target.usd_in is None)

    async def close(self) -> None:
        """Close the connections that litellm keeps, if nobody else in this process uses them any more."""
        _OPEN.discard(id(self))
        if self._was_used and not _OPEN:
            await _litellm().close_litellm_async_clients()

    def _failed(self, error: Exception) -> ModelFailed:
        names = {kind.__name__ for kind in type(error).__mro__}
        fault: ModelFault
        fault, retryable = next(
            ((fault, again) for name, fault, again in FAULTS if name in names), ("server", True)
        )
        said = str(error)
        if fault in ("rate", "rejected") and is_quota(said):
            fault, retryable = "quota", False
        if "Connection error" in said or "Cannot connect" in said:
            fault, retryable = "connection", True
        if "Error converting to valid response" in said:  # what came back was no reply, whatever it is called
            fault, retryable = "junk", True
        said = without(said, self._secrets)
        return ModelFailed(
            f"{type(error).__name__}: {' '.join(_OWN_NAMES.sub('', said).split())[:SAID_CHARS]}",
            fault,
            retryable=retryable,
            retry_after_s=_retry_after_s(error),
            was_sent=fault in ("timeout", "junk"),
            hint="the key is not accepted: look at the variable that holds it" if fault == "auth" else "",
        )


def _hush() -> None:
    """Let litellm's own warnings go nowhere, for good.

    Filters that are set and taken back around a request would be taken back out of turn by another one.
    """
    for message, module in NOISE:  # one that is there already is not added again
        warnings.filterwarnings("ignore", message=message, module=module)


def warm() -> None:
    """Import it."""
    _litellm()


async def _loaded() -> Any:
    """The module; where it has to be imported first, that holds up no other request.

    What says so is not `sys.modules`, which has it from the beginning of its import on.
    """
    return _litellm() if _litellm.cache_info().currsize else await asyncio.to_thread(_litellm)


@cache
def _litellm() -> Any:
    """The module, quiet, and kept from the network."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ.setdefault("LITELLM_TELEMETRY", "False")
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    _hush()
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.turn_off_message_logging = True
    return litellm


def _reply(response: Any, *, priced: bool) -> Reply:
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
        _cost(response) if priced else None,  # the run's own price is what was reserved
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
