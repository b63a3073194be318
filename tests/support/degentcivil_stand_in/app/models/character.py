"""A character, and what it was asked and answered."""

import asyncio
from collections import deque

import ipdb

from app import settings
from app.constants.names import CharacterState, PromptType
from app.models.base_agent import SimsAgent
from app.models.emotion import Emotion
from app.models.internal_dialogue import InnerMonologue
from app.models.memory import Memory, Schedule, WorkingMemory

MAX_TRIES = 4
EXAMPLES = {
    PromptType.PERSPECT: {"AnalyseExternalObservations": [], "AnalysePlanAction": []},
    PromptType.PLAN: {"Goal": "", "GoalRubrics": "", "CurrentSituation": "", "Plans": [], "BestPlan": {}},
    PromptType.ACT: {"action": "", "act_obj": "", "purpose": "", "emoji": ""},
    PromptType.SUM: {"interaction_summary": "", "act_obj": "", "modified_properties": {}},
    PromptType.EMOTION: {"emotions": []},
    PromptType.ACTREFLECTION: {"step_complete": True, "entities": [], "new_understanding": {}},
    PromptType.CHATINIT: {"init_conversation": ""},
}


class PromptAndResponse:
    """One for a character, shared by all of its requests under way."""

    def __init__(self, character):
        self.character = character
        self.prompt_dict = {kind: [] for kind in PromptType}
        self.result_dict = {kind: [] for kind in PromptType}
        self.latest_prompt_type = None
        self.latest_prompt = ""
        self.latest_response = None
        self.latest_prompt_example = None

    def save_prompt(self, prompt_type, prompt, example):
        self.prompt_dict[prompt_type].append(prompt)
        self.latest_prompt_type, self.latest_prompt = prompt_type, prompt
        self.latest_prompt_example = example  # one for all: an answer is compared with what was asked last

    def save_response(self, prompt_type, response):
        self.result_dict[prompt_type].append(response)
        self.latest_response = response

    def response_vanity_check(self, response):
        answer = self.response_json_check(response)
        if not isinstance(answer, dict):
            return "The answer must be a JSON object."
        missing = [key for key in self.latest_prompt_example or {} if key not in answer]
        return f"The answer lacks the keys {missing}." if missing else ""

    def response_json_check(self, response):
        try:
            answer = eval(response)
        except Exception:
            answer = None
        if not isinstance(answer, dict):
            ipdb.set_trace()
        return answer


class Character(SimsAgent):
    def __init__(self, name, guid, age, bio, mbti):
        super().__init__(name, guid)
        self.age, self.bio, self.mbti = age, bio, mbti
        self.money = 10
        self.health = self.satiety = self.vigor = 8.0
        self.x = self.y = guid
        self.in_building = None
        self.date_num = 0
        self.date = None
        self.state = None
        self.state_name = CharacterState.IDLE
        self.hang_states = deque(maxlen=3)
        self.emotion = Emotion()
        self.Schedule = Schedule()
        self.job = None
        self.artworks = {}
        self.working_memory = WorkingMemory()
        self.longterm_memory = Memory()
        self.inner_monologue = InnerMonologue(self)
        self.prompt_and_response = PromptAndResponse(self)

    @property
    def Gold(self):
        return self.money

    @property
    def in_building_name(self):
        return self.in_building.name if self.in_building else "outdoor"

    def change_building(self, building):
        self.in_building = building

    def change_pos(self, x, y):
        self.x, self.y = x, y

    def save_prompt(self, prompt_type, prompt, example):
        self.prompt_and_response.save_prompt(prompt_type, prompt, example)

    async def a_process_then_reply(self, message, sender, tries=0):
        self._append_oai_message(message, "user", sender)
        response = await self.a_generate_reply(messages=list(self._oai_messages[sender])[-1:], sender=sender)
        problem = self.prompt_and_response.response_vanity_check(response)
        if problem:
            if tries + 1 >= MAX_TRIES:
                return response
            return await self.a_process_then_reply(f"{message}\n{problem}", sender, tries + 1)
        return eval(response)


async def chat(sender, recipient, message):
    """Let one agent talk to another until one of them has had enough."""
    result = await sender.a_initiate_chat(recipient=recipient, message=message)
    await asyncio.sleep(0)  # as the game does
    return result


def sleep_s(seconds):
    return seconds * settings.SLEEP_SCALE
