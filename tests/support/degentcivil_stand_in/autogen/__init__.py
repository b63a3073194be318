"""As much of autogen 0.2 as the stand-in uses: reply functions kept at construction, requests in an executor."""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from types import SimpleNamespace

from .fake_model import answer


class ChatResult(SimpleNamespace):
    """What a finished chat gives: chat_history, summary, cost, human_input."""


class OpenAIWrapper:
    """The client of a model; the model is a fake, and the request blocks its thread as a real one does."""

    def __init__(self, **config):
        self.config = config

    def create(self, **config):
        messages, context = config["messages"], config.get("context")
        assert context is None or isinstance(context, dict)
        return answer(messages)


class ConversableAgent:
    """An agent that remembers its dialogue with each other agent."""

    def __init__(self, name, llm_config=None):
        self._name = name
        self.client = OpenAIWrapper(**(llm_config or {}))
        self._oai_messages = defaultdict(list)
        # the functions themselves are kept here, so that replacing a method later changes no agent that exists
        self._reply_func_list = [ConversableAgent.a_generate_oai_reply]

    @property
    def name(self):
        return self._name

    def _append_oai_message(self, message, role, conversation_id):
        content = message if isinstance(message, str) else message["content"]
        self._oai_messages[conversation_id].append({"role": role, "content": content})

    def _process_received_message(self, message, sender, silent):
        self._append_oai_message(message, "user", sender)

    async def a_generate_reply(self, messages=None, sender=None, **kwargs):
        if messages is None:
            messages = self._oai_messages[sender]
        for reply_function in self._reply_func_list:
            final, reply = await reply_function(self, messages=messages, sender=sender, config=None)
            if final:
                return reply
        return None

    async def a_generate_oai_reply(self, messages=None, sender=None, config=None):
        loop = asyncio.get_event_loop()
        request = functools.partial(self.generate_oai_reply, messages=messages, sender=sender, config=config)
        return await loop.run_in_executor(None, request)

    def generate_oai_reply(self, messages=None, sender=None, config=None):
        return True, self._generate_oai_reply_from_client(self.client, messages, None)

    def _generate_oai_reply_from_client(self, llm_client, messages, cache):
        response = llm_client.create(context=messages[-1].pop("context", None), messages=messages, cache=cache)
        return response.choices[0].message.content

    async def a_send(self, message, recipient, request_reply=True, silent=False):
        self._append_oai_message(message, "assistant", recipient)
        await recipient.a_receive(message, self, request_reply, silent)

    async def a_receive(self, message, sender, request_reply=True, silent=False):
        self._process_received_message(message, sender, silent)
        if not request_reply or "TERMINATE" in str(message):
            return
        reply = await self.a_generate_reply(sender=sender)
        if reply is not None:
            await self.a_send(reply, sender, silent=silent)

    async def a_initiate_chat(self, recipient, message, silent=False, **context):
        self._oai_messages[recipient].clear()
        recipient._oai_messages[self].clear()
        await self.a_send(message, recipient, silent=silent)
        history = list(self._oai_messages[recipient])
        return ChatResult(chat_history=history, summary=history[-1]["content"], cost=({}, {}), human_input=[])


class AssistantAgent(ConversableAgent):
    """An agent that a model answers for."""
