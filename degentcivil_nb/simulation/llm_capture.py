"""Automatic reports of language model calls, measured around a block or around the calling function."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar, cast

from .acting import who_acts
from .llm_reading import TOKENS, model_in, read_request, read_response, without_media

_F = TypeVar("_F", bound=Callable[..., Any])

_OWN: Final = frozenset(
    {"response", "prompt", "model", "prompt_tokens", "completion_tokens", "cost_usd", "error", "id"}
)
"""What a call has by itself; everything else that is set on it is published as a keyword of `llm_call`."""


class CallSink(Protocol):
    """The publisher of calls: the probe."""

    def llm_call(self, character_id: Any = None, **details: Any) -> str | None:
        """Publish a call."""


class LlmCapture:
    """A call in progress; what is set on it is published at the end of its block, with latency and failure."""

    def __init__(
        self,
        sink: CallSink,
        character_id: Any = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        **details: Any,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._details = details
        self._character = who_acts() if character_id is None else character_id
        self.response: Any = None
        """The model's answer: text, data, or a provider's own object, from which text and tokens are read."""
        self.prompt: Any = details.pop("prompt", None)
        self.model: Any = details.pop("model", None)
        self.prompt_tokens: Any = None
        self.completion_tokens: Any = None
        self.cost_usd: Any = None
        self.error: Any = None
        self.id: str | None = None
        """The call's id, once the call was published."""
        self._model_asked: str | None = None  # the model by the object that was asked
        self._began = clock()

    def __enter__(self) -> Self:
        self._began = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Publish the call as it is now."""
        found = read_response(self.response)
        told = {
            "prompt": without_media(self.prompt),
            "response": found.pop("response"),
            "model": self.model if self.model is not None else found.pop("model", self._model_asked),
            "latency_s": self._clock() - self._began,
            "cost_usd": self.cost_usd,
            "error": self.error if error is None else error,
            **{name: value for name, value in vars(self).items() if name not in _OWN and not name.startswith("_")},
        }
        for name in TOKENS:
            own = getattr(self, name)
            told[name] = found.get(name) if own is None else own
        self.id = self._sink.llm_call(self._character, **{**self._details, **told})


def capture_function(sink: CallSink, function: _F, character_id: Any = None, **details: Any) -> _F:
    """Return a function that calls `function` and publishes each call; a stream is published at its end."""
    asked_of = getattr(function, "__self__", None)
    takes_self = asked_of is None and next(iter(_parameters(function)), "") == "self"  # patched on its class

    def begin(arguments: tuple[Any, ...], more: Mapping[str, Any]) -> LlmCapture:
        owner, arguments = (arguments[0], arguments[1:]) if takes_self and arguments else (asked_of, arguments)
        call = LlmCapture(sink, character_id, **{**read_request(arguments, more), **details})
        call._model_asked = model_in(owner)
        return call

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def asked_stream(*arguments: Any, **more: Any) -> Any:
            async for piece in _told_async(begin(arguments, more), function(*arguments, **more)):
                yield piece

        return cast(_F, asked_stream)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asked_async(*arguments: Any, **more: Any) -> Any:
            call = begin(arguments, more)
            try:
                return _answered(call, await function(*arguments, **more))
            except BaseException as error:
                call.end(error)
                raise

        return cast(_F, asked_async)

    @functools.wraps(function)
    def asked(*arguments: Any, **more: Any) -> Any:
        call = begin(arguments, more)
        try:
            return _answered(call, function(*arguments, **more))
        except BaseException as error:
            call.end(error)
            raise

    return cast(_F, asked)


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # written in C
        return []


def _answered(call: LlmCapture, response: Any) -> Any:
    """Publish a call with its answer; a stream is passed on piece by piece, and published at its end."""
    if isinstance(response, Iterator):
        return _told(call, response)
    if isinstance(response, AsyncIterator):
        return _told_async(call, response)
    if inspect.isawaitable(response):
        return _awaited(call, response)
    call.response = response
    call.end()
    return response


async def _awaited(call: LlmCapture, response: Any) -> Any:
    try:
        return _answered(call, await response)
    except BaseException as error:
        call.end(error)
        raise


def _told(call: LlmCapture, pieces: Iterator[Any]) -> Iterator[Any]:
    seen: list[Any] = []
    error: BaseException | None = None
    try:
        for piece in pieces:
            seen.append(piece)
            yield piece
    except BaseException as failed:
        error = failed
        raise
    finally:
        _end_stream(call, seen, error)


async def _told_async(call: LlmCapture, pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
    seen: list[Any] = []
    error: BaseException | None = None
    try:
        async for piece in pieces:
            seen.append(piece)
            yield piece
    except BaseException as failed:
        error = failed
        raise
    finally:
        _end_stream(call, seen, error)


def _end_stream(call: LlmCapture, pieces: list[Any], error: BaseException | None) -> None:
    read = [read_response(piece) for piece in pieces]
    texts = [piece["response"] for piece in read]
    call.response = "".join(texts) if all(isinstance(text, str) for text in texts) else texts
    for name in ("model", *TOKENS):
        found = [piece[name] for piece in read if piece.get(name) is not None]
        if found and getattr(call, name) is None:
            setattr(call, name, found[-1])
    # a stream that is not read to its end is not a failure
    call.end(None if isinstance(error, GeneratorExit) else error)
