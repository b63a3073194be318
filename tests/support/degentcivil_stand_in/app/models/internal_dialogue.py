"""What a character says to itself: a second request, beside whatever comes next."""

import asyncio

from app.constants.names import PromptType


class InnerMonologue:
    def __init__(self, character):
        self.character = character
        self.content = {}

    def call_llm(self):
        message = f"# INNER_MONOLOGUE of {self.character.name}\nWhat goes through your mind?"
        self.character.save_prompt(PromptType.INNER_MONOLOGUE, message, {"emoji": ""})
        task = asyncio.create_task(self.character.a_process_then_reply(message=message, sender=self.character))
        task.add_done_callback(lambda done: self.set_monologue(done.result()))

    def set_monologue(self, monologue):
        self.content.update(monologue)  # text raises ValueError, which is lost in the callback
