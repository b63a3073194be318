"""Publishing what characters say and think, and measures of the whole model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...protocol.messages import MessageTypes
from ..values import causes_of, word_of
from .publishing import PublishingMethods


class ThoughtMethods(PublishingMethods):
    """The methods of a probe that publish chat messages, thoughts and measures."""

    def said(
        self,
        character_id: Any,
        receivers: Any,
        content: Any,
        *,
        channel: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Publish what a character said to others; it becomes a row of `session.chat()`.

        Parameters
        ----------
        character_id : any
            Who speaks; `None` means the acting character (`acting`).
        receivers : any
            One id or a list of them.
        content : any
            What was said.
        channel : any, optional
            Where, such as ``"street"``.
        id : any, optional
            A name for this message; left out, one is made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The message's `id`; `None` if it could not be published.

        Examples
        --------
        >>> probe.said("emma", ["noah", "mia"], "Good morning!", channel="street", id="chat-1")
        'chat-1'
        """
        try:
            payload: dict[str, Any] = {
                "character_id": self._speaker(character_id),
                "receivers": [
                    known
                    for receiver in _each(receivers)
                    if (known := self._character(receiver, needed=False)) is not None
                ],
                "content": content,
            }
            if channel is not None:
                payload["channel"] = word_of(channel)
            return self._publish_named("said", MessageTypes.CHAT_MESSAGE, payload, id, cause, more)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.CHAT_MESSAGE, character_id, error)
            return None

    def thought(
        self,
        character_id: Any,
        kind: Any,
        text: Any,
        *,
        evidence: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Publish what a character thinks: a plan, a memory, a reflection; it becomes a row of `session.thoughts()`.

        Parameters
        ----------
        character_id : any
            Who thinks; `None` means the acting character (`acting`).
        kind : any
            Such as ``"plan"``, ``"memory"`` or ``"reflection"``.
        text : any
            The thought.
        evidence : any, optional
            The `id`s of the events that it is based on.
        id : any, optional
            A name for this thought; left out, one is made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The thought's `id`; `None` if it could not be published.

        Examples
        --------
        >>> probe.thought("emma", "plan", "buy bread", evidence=["chat-1"], id="plan-1")
        'plan-1'
        """
        try:
            payload = {"character_id": self._speaker(character_id), "kind": word_of(kind), "text": text}
            found = [causes_of(item) for item in _each(evidence)]
            if found:
                payload["evidence"] = [item for item in found if isinstance(item, str)]
            return self._publish_named("thought", MessageTypes.THOUGHT, payload, id, cause, more)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.THOUGHT, character_id, error)
            return None

    def measure(self, name: Any, value: Any) -> None:
        """Publish a measure of the whole model, such as a Gini coefficient, for this tick, as in `session.measures()`.

        Parameters
        ----------
        name : any
            The name of the measure.
        value : any
            A number, or any data.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.measure("gini", 0.25)
        ...     with dc.connect(town) as session:
        ...         session.measures("gini")["value"].to_list()
        [0.25]
        """
        try:
            self.publish(MessageTypes.MEASURE, {"name": word_of(name), "value": value})
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.MEASURE, None, error)

    def _speaker(self, character_id: Any) -> Any:
        return self._character(self._whose(None) if character_id is None else character_id)


def _each(values: Any) -> Iterable[Any]:
    """Return the items of any list-like; any other value is the only item."""
    if values is None:
        return ()
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(type(values), "__iter__"):
        return (values,)
    return list(values)
