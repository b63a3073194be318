"""What all states do: enter, ask, wait for the answer, and find the state that follows."""

import asyncio
import time
from bdb import set_trace  # noqa: F401

from app.constants.names import CharacterState
from app.models.character import EXAMPLES, sleep_s
from app.service.broadcast import broadcast_message
from app.utils.function_chain import FunctionChain
from app.utils.gameserver_utils import tell_state

TIMEOUT_UPDATES = 10


class BaseState:
    state_name = None
    prompt_type = None
    enter_sleep_s = 0
    exit_sleep_s = 0
    follows = ()

    def __init__(self, character, character_list, building_list, on_change):
        self.character = character
        self.character_list = character_list
        self.building_list = building_list
        self.on_change = on_change
        self.followed_states = dict.fromkeys(self.follows, False)
        self.previous_state = None
        self._state_duration = 0
        self._failure = ""
        self._failures = 0
        self.enter_chain = FunctionChain(
            [
                lambda state: state.change_char_building(),
                lambda state: state.push_state_change_to_server(),
                lambda state: state.build_prompt(),
                lambda state: state.save_llm_prompt(),
                lambda state: state.call_main_prompt(),
            ]
        )
        self.exit_chain = FunctionChain([lambda state: time.sleep(sleep_s(state.exit_sleep_s))])  # as the game does
        self.update_chain = FunctionChain(
            [
                lambda state, msg, date: state.change_date(date),
                lambda state, msg, date: state.monitor_server_msg(msg),
                lambda state, msg, date: state.passive_update(),
                lambda state, msg, date: state.state_timeout(),
                lambda state, msg, date: state.change_state(),
            ]
        )
        self.post_llm_chain = FunctionChain(
            [
                lambda state, result, kind: state.save_llm_response(result, kind),
                lambda state, result, kind: state.tailor_response_to_wm(result),
                lambda state, result, kind: state.store_memory(result),
                lambda state, result, kind: state.state_router(result),
            ]
        )

    # --- entering and leaving ---

    def enter_state(self):
        self.character.state = self
        self.character.state_name = self.state_name
        self._state_duration = 0
        for name in self.followed_states:
            self.followed_states[name] = False
        done, text = self.enter_chain.execute(self)
        if not done:
            self._enter_again(text)

    def _enter_again(self, text):
        self._failure, self._failures = text, self._failures + 1
        if self._failures < 3:
            self.enter_state()

    def exit_state(self):
        self.exit_chain.execute(self)

    def post_exit(self):
        self._failures = 0

    def set_previous_state(self, name):
        self.previous_state = name

    def change_char_building(self):
        x, y = self.character.x, self.character.y
        for building in self.building_list.buildings:
            if building.xMin <= x <= building.xMax and building.yMin <= y <= building.yMax:
                self.character.change_building(building)
                return
        self.character.change_building(None)

    def push_state_change_to_server(self):
        tell_state(self.character, f"{self.character.name} entered state {self.state_name.name}")
        time.sleep(sleep_s(self.enter_sleep_s))  # as the game does

    # --- asking ---

    def build_prompt(self):
        if self.prompt_type is None:
            return
        self.prompt = (
            f"# {self.prompt_type.name} of {self.character.name}\nIt is {self.character.date}. "
            f"You are in {self.character.in_building_name}. {self._failure}\n" + "Think well. " * 20
        )
        self._failure = ""

    def save_llm_prompt(self):
        if self.prompt_type is not None:
            self.character.save_prompt(self.prompt_type, self.prompt, EXAMPLES.get(self.prompt_type))

    def call_main_prompt(self):
        if self.prompt_type is not None:
            self.call_llm()

    def call_llm(self):
        self.llm_task = asyncio.create_task(
            self.character.a_process_then_reply(message=self.prompt, sender=self.character)
        )
        self.llm_task.add_done_callback(lambda task: self.execute_post_llm_chain(task.result(), self.prompt_type))

    def execute_post_llm_chain(self, result, prompt_type):
        done, text = self.post_llm_chain.execute(self, result, prompt_type)
        if not done:
            self._enter_again(text)

    def save_llm_response(self, result, prompt_type):
        asked = self.character.prompt_and_response
        asked.save_response(prompt_type, result)
        broadcast_message(
            "character_update_llm",
            {
                "latest_prompt_type": prompt_type.name,
                "latest_prompt": asked.latest_prompt,
                "latest_response": {key: str(value) for key, value in dict(result).items()},
            },
        )

    def tailor_response_to_wm(self, result):
        self.character.working_memory.store(**result)

    def store_memory(self, result):
        pass

    def state_router(self, result):
        self.turn_on(self.follows[0])

    def turn_on(self, name):
        self.followed_states[name] = True

    # --- each update ---

    def update_state(self, msg, date):
        self._state_duration += 1
        self.update_chain.execute(self, msg, date)

    def change_date(self, date):
        self.character.date_num, self.character.date = date

    def monitor_server_msg(self, msg):
        pass

    def passive_update(self):
        self.character.emotion.decay()

    def state_timeout(self):
        if self._state_duration > TIMEOUT_UPDATES and self.state_name not in (
            CharacterState.PERSP,  # it would go to itself, and so stays
            CharacterState.MOVE,
        ):
            self.on_change(CharacterState.PERSP)

    def change_state(self):
        for name, wanted in self.followed_states.items():
            if wanted:
                self.on_change(name)
                return
