"""A game's server on a thread of its own: it starts the town, begins new days, and says who has arrived."""

import json
import queue
import threading

from app import settings
from app.utils.gameserver_utils import LLM_msg_queue, from_game, server_msg_queue

CITY = {
    "city_state": {
        "terrain_data": {"data": [[1] * 20 for _ in range(20)]},
        "area_dic": {
            "Cafe": {"xMin": 0, "xMax": 4, "yMin": 0, "yMax": 4},
            "Park": {"xMin": 10, "xMax": 19, "yMin": 10, "yMax": 19},
        },
        "map_obj_list_dic_of_interactive": {},
        "intelligent_agent_dic": {},
    }
}
ARRIVAL_S = 0.15


class GameServer(threading.Thread):
    """Those who walk at the same time arrive at the same time, which is what the town cannot take."""

    def __init__(self):
        super().__init__(name="game-server", daemon=True)
        self._walking = []

    def run(self):
        server_msg_queue.put(from_game(2000, **CITY))
        while True:
            try:
                text = LLM_msg_queue.get(timeout=ARRIVAL_S)
            except queue.Empty:
                self._arrive()
                continue
            number, _, content = text.partition("@")
            if number in ("1007", "1001"):
                self._walking.append(json.loads(content))
                if len(self._walking) >= 3:
                    self._arrive()

    def _arrive(self):
        walking, self._walking = self._walking, []
        for walk in walking:
            server_msg_queue.put(
                from_game(2001, agent_guid=walk["agent_guid"], cur_place_guid=1, cur_area="a", cur_pos=walk["pos"])
            )
        if settings.NEW_DAYS:
            server_msg_queue.put(from_game(2002))
