"""What characters and buildings have in common: each is an agent that a model answers for."""

import autogen

from app.repository.utils import check_balance_and_trade


class SimsAgent(autogen.AssistantAgent):
    def __init__(self, name, guid):
        super().__init__(name, llm_config={"model": "fake-model-1"})
        self.guid = guid

    def generate_oai_reply(self, messages=None, sender=None, config=None):
        reply = self._generate_oai_reply_from_client(self.client, list(messages), None)
        return True, reply

    def pay(self, other, amount):
        return check_balance_and_trade(self.guid, other.guid, amount)
