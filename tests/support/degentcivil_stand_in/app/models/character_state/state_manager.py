"""The states of one character, one object each, and which of them it is in."""

from app.constants.names import CharacterState
from app.models.character_state.states import ALL

MOST_KEPT = 999


class StateManager:
    def __init__(self, character, character_list, building_list):
        self.character = character
        self.states = {
            kind.state_name: kind(character, character_list, building_list, self.change_state_by_enum) for kind in ALL
        }
        self.previous_states = []
        self.current_state = self.states[CharacterState.PERSP]
        self.current_state.enter_state()

    def update_state(self, msg, date):
        self.current_state.update_state(msg, date)

    def change_state_by_enum(self, name):
        self.change_state(self.states[name])

    def change_state(self, new):
        for state in self.previous_states[-3:]:
            state.post_exit()
        old = self.current_state
        old.exit_state()
        self.previous_states = [*self.previous_states, old][-MOST_KEPT:]
        self.current_state = new
        new.set_previous_state(old.state_name)
        new.enter_state()
