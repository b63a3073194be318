"""Publishing events and errors."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ...core.plain import is_plain, plain
from ...protocol.messages import MessageTypes
from .. import payloads
from ..payloads import Event
from ..values import error_code_of, word_of
from .publishing import PublishingMethods

_EVENT: Final = MessageTypes.EVENT_NOTIFICATION


class EventMethods(PublishingMethods):
    """The methods of a probe that publish what happens and what goes wrong."""

    def event(
        self,
        event_type: Any,
        data: Any = None,
        *,
        character_id: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Publish that something happened.

        Parameters
        ----------
        event_type : any
            What kind of event it is, as text or an enum.
        data : any, optional
            Its inner value, of any type.
        character_id : any, optional
            Whose event it is; left out, that of the acting character (`acting`), or of none.
        id : any, optional
            A name for this event, or `True` to have one made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The event's `id`, if it has one.

        Examples
        --------
        >>> probe.event("trade", {"price": 3}, character_id="emma", id="trade-7")
        'trade-7'
        """
        try:
            if type(event_type) is not str or not event_type:
                event_type = self._word("event", "event_type", event_type)
            if not is_plain(data):
                data = self._converted(data, plain)
            if type(character_id) is not str or not character_id:
                character_id = self._whose(character_id)
            clock, publish, ticking = self._clock, self._publish, self._ticking
            now = clock()
            if not more and id is None and cause is None and ticking.links is None:  # what most are
                whose = UNSET if character_id is None else character_id
                publish(_EVENT, Event(event_type, data, now, whose), ticking.tick, now)
                return None
            payload = payloads.event(event_type, data, now, character_id)
            self._keep(payload, "event", more)
            id = self._event_id(id)
            self._name_in(payload, id, cause)
            return self._publish_linked(_EVENT, payload, now, id, cause)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.EVENT_NOTIFICATION, character_id, error)
            return None

    def error(
        self,
        code: Any,
        message: Any = "",
        *,
        character_id: Any = None,
        exception: BaseException | None = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Publish that something went wrong.

        Parameters
        ----------
        code : any
            A whole number, or an enum. A text is published as code 1004, with the text as `code_name`.
        message : any, optional
            What went wrong.
        character_id : any, optional
            Whose error it is; left out, that of the acting character (`acting`), or of none.
        exception : BaseException, optional
            An exception whose traceback is published too.
        id : any, optional
            A name for this event, or `True` to have one made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The event's `id`, if it has one.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.error(2001, "the answer is not JSON", character_id="emma")
        ...     with dc.connect(town) as session:
        ...         session.errors()[["character_id", "code", "message"]].to_numpy().tolist()
        [['emma', 2001, 'the answer is not JSON']]
        """
        try:
            number, name = error_code_of(code)
            if message is None:
                message = ""
            text = message if type(message) is str else self._converted(message, word_of)
            payload = payloads.error(number, text, self._whose(character_id), exception)
            if name is not None:
                payload["code_name"] = name
            if "logger" in more:  # of `log_handler`
                payload["logger"] = word_of(more.pop("logger"))
            self._keep(payload, "error", more)
            return self._publish_linked(MessageTypes.ERROR, payload, self._clock(), id, cause)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.ERROR, character_id, failed)
            return None
