"""Publishing what characters say and think, and measures of the whole model."""

from __future__ import annotations

from typing import Any

from ...protocol.messages import MessageTypes
from ..values import causes_of, each, is_missing, word_of
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
            One id or a list of them; `None`: to nobody in particular.
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
            speaker = self._speaker(character_id)
            given = [self._character(receiver, needed=False) for receiver in each(receivers)]
            known = [receiver for receiver in given if receiver is not None]
            for name, value, missing in (
                ("receivers", receivers, len(known) < len(given)),
                ("content", content, content is None),
            ):
                if missing:
                    self._say_missing(name, value, "said()")
            payload: dict[str, Any] = {"character_id": speaker, "receivers": known, "content": content}
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
            kind = self._word("thought", "kind", kind)
            payload = {"character_id": self._speaker(character_id), "kind": kind, "text": text}
            if text is None:
                self._say_missing("text", text, "thought()")
            given = list(each(evidence))
            if any(map(is_missing, given)):
                self._say_missing("evidence", evidence, "thought()")
            if given:
                payload["evidence"] = [item for item in map(causes_of, given) if isinstance(item, str)]
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
            A number, or any data; `None` or NaN where it has no value at this tick.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.measure("gini", 0.25)
        ...     with dc.connect(town) as session:
        ...         session.measures("gini")["value"].to_list()
        [0.25]
        """
        try:
            self.publish(MessageTypes.MEASURE, {"name": self._word("measure", "name", name), "value": value})
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.MEASURE, None, error)

    def _speaker(self, character_id: Any) -> Any:
        return self._character(self._whose(None) if character_id is None else character_id)
