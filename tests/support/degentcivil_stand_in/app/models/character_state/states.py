"""The states of the usual way through a day."""

import asyncio

from app.constants.names import CharacterState, PromptType
from app.models.character_state.base_state import BaseState
from app.utils.gameserver_utils import walk


class PerspState(BaseState):
    state_name, prompt_type, exit_sleep_s = CharacterState.PERSP, PromptType.PERSPECT, 2
    follows = (CharacterState.PLAN, CharacterState.ACT)

    def state_router(self, result):
        planned = self.character.Schedule.current_step
        self.turn_on(CharacterState.ACT if planned else CharacterState.PLAN)


class PlanState(BaseState):
    state_name, prompt_type, exit_sleep_s = CharacterState.PLAN, PromptType.PLAN, 5
    follows = (CharacterState.ACT,)

    def store_memory(self, result):
        plan = result["BestPlan"]
        self.character.Schedule.set(plan["GeneralDescription"], plan["Steps"].values())
        self.character.inner_monologue.call_llm()


class ActState(BaseState):
    state_name, prompt_type, enter_sleep_s = CharacterState.ACT, PromptType.ACT, 3
    follows = (CharacterState.MOVE, CharacterState.USE, CharacterState.CHATINIT)

    def state_router(self, result):
        target = result["act_obj"]
        building = self.building_list.find(target)
        if building is None:
            self.turn_on(CharacterState.CHATINIT)
        elif "." in target and self.character.in_building is building:
            self.turn_on(CharacterState.USE)
        else:
            self.turn_on(CharacterState.MOVE)


class MoveState(BaseState):
    state_name, exit_sleep_s = CharacterState.MOVE, 2
    follows = (CharacterState.PERSP,)

    def enter_state(self):
        super().enter_state()
        target = self.building_list.find(self.character.working_memory.wm["act_obj"])
        walk(self.character, target)

    def monitor_server_msg(self, msg):
        if msg is not None:
            self.character.change_pos(msg["cur_pos"]["x"], msg["cur_pos"]["y"])
            self.turn_on(CharacterState.PERSP)

    def passive_update(self):
        super().passive_update()
        self.character.satiety = round(self.character.satiety - 0.1, 2)


class UseState(BaseState):
    state_name, prompt_type, enter_sleep_s, exit_sleep_s = CharacterState.USE, PromptType.USE, 3, 5
    follows = (CharacterState.SUM,)

    def call_llm(self):
        building = self.character.in_building
        self.llm_task = asyncio.create_task(
            building.a_initiate_chat(recipient=self.character, message="Welcome, what would you like?")
        )
        self.llm_task.add_done_callback(lambda task: self.execute_post_llm_chain(vars(task.result()), self.prompt_type))

    def store_memory(self, result):
        self.character.pay(self.character.in_building, 3)


class SumState(BaseState):
    state_name, prompt_type, enter_sleep_s, exit_sleep_s = CharacterState.SUM, PromptType.SUM, 3, 2
    follows = (CharacterState.EMOTION,)

    def store_memory(self, result):
        for name, by in result["modified_properties"].get("Character", {}).items():
            setattr(self.character, name, getattr(self.character, name) + by)


class EmotionState(BaseState):
    state_name, prompt_type, enter_sleep_s, exit_sleep_s = CharacterState.EMOTION, PromptType.EMOTION, 3, 3
    follows = (CharacterState.ACTREFLECTION,)

    def store_memory(self, result):
        for felt in result["emotions"]:
            self.character.emotion.change(felt["emotion"], felt["change"])


class ActReflectionState(BaseState):
    state_name, enter_sleep_s, exit_sleep_s = CharacterState.ACTREFLECTION, 3, 2
    prompt_type = PromptType.ACTREFLECTION
    follows = (CharacterState.PERSP,)

    def store_memory(self, result):
        if result["step_complete"]:
            self.character.Schedule.current_index += 1
        for kind, entries in result["new_understanding"].items():
            for name, text in entries.items():
                self.character.longterm_memory.add(kind, name, {"text": text})


class ChatInitState(BaseState):
    state_name, enter_sleep_s, exit_sleep_s = CharacterState.CHATINIT, 3, 2
    prompt_type = PromptType.CHATINIT
    follows = (CharacterState.CHATING, CharacterState.PERSP)

    def state_router(self, result):
        other = next(agent for agent in self.character_list.characters if agent is not self.character)
        # a state is compared with its name, so the other never seems ready and this ends by timeout
        if other.state == CharacterState.RECEIVECHAT:
            self.turn_on(CharacterState.CHATING)


class ChatingState(BaseState):
    state_name, prompt_type = CharacterState.CHATING, PromptType.CHATING
    follows = (CharacterState.PERSP,)


class ReceiveChatState(BaseState):
    state_name = CharacterState.RECEIVECHAT
    follows = (CharacterState.PERSP,)


ALL = (
    PerspState,
    PlanState,
    ActState,
    MoveState,
    UseState,
    SumState,
    EmotionState,
    ActReflectionState,
    ChatInitState,
    ChatingState,
    ReceiveChatState,
)
