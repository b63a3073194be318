"""The two queues between the town and the game's server, and what is put into them."""

import json
import queue

LLM_msg_queue = queue.Queue()
server_msg_queue = queue.Queue()


def send(message_id, **content):
    LLM_msg_queue.put(f"{message_id}@{json.dumps(content)}")


def tell_state(character, text, content_type=2):
    send(1002, content=text, agent_guid=character.guid, content_type=content_type, display_duration=3)


def walk(character, place):
    send(1007, pos={"x": place.xMin, "y": place.yMin}, agent_guid=character.guid, speed_rate=1, emoji_on_the_way="")


def from_game(message_id, **content):
    return {"from": "game", "msg_id": message_id, "msg": json.dumps(content)}
