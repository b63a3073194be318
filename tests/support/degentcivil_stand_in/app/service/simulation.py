"""The town: its people, its buildings, and what happens in one update."""

import datetime
import json
import queue
from pathlib import Path

from app import settings
from app.models.character import Character
from app.models.character_state.state_manager import StateManager
from app.models.location import Building, BuildingList
from app.utils.gameserver_utils import server_msg_queue

CONFIG = Path(__file__).parents[2] / "config" / "town.json"
START = datetime.datetime(2022, 10, 1)
UPDATES_A_DAY = 10


class CharacterList:
    def __init__(self, characters):
        self.characters = characters


class Simulation:
    def __init__(self):
        self.configs = json.loads(CONFIG.read_text(encoding="utf-8"))
        self.character_list = CharacterList([Character(**values) for values in self.configs["characters"][:5]])
        self.building_list = BuildingList([Building(**values) for values in self.configs["buildings"]])
        self.total_update_count = 0
        self.newday_countdown = 0
        self.started = False

    def start_service(self, msg):
        self.city_state = msg.get("city_state", {})
        self.create_character_state_managers()
        self.newday_countdown = UPDATES_A_DAY
        self.started = True

    def create_character_state_managers(self):
        self.character_state_managers = {
            character.name: StateManager(character, self.character_list, self.building_list)
            for character in self.character_list.characters
        }

    def handle_server_msg(self):
        for message in self.take_messages():
            if message["msg_id"] == 2000:
                self.start_service(json.loads(message["msg"]))
                return

    def take_messages(self):
        taken = []
        while True:
            try:
                taken.append(server_msg_queue.get_nowait())
            except queue.Empty:
                return taken

    def filter_out_msg(self, messages, character):
        """Give the arrival for a character, of which only the first in an update is looked at."""
        first = next((message for message in messages if message["msg_id"] == 2001), None)
        if first is None:
            return None
        content = json.loads(first["msg"])
        return content if content["agent_guid"] == character.guid else None

    def transform_date(self):
        hours = self.total_update_count * settings.HOURS_AN_UPDATE
        return hours, START + datetime.timedelta(hours=hours)

    def update_state(self):
        if not self.started:
            self.handle_server_msg()
            if not self.started:
                return
        messages = self.take_messages()
        if any(message["msg_id"] == 2002 for message in messages):
            self.newday_countdown = UPDATES_A_DAY
        if self.newday_countdown <= 0:
            return
        date = self.transform_date()
        for manager in self.character_state_managers.values():
            manager.update_state(msg=self.filter_out_msg(messages, manager.character), date=date)
        self.total_update_count += 1
        if not settings.DEBUG:
            self.newday_countdown -= 1
