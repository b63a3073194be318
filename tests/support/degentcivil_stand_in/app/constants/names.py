"""The words for states and prompts."""

from enum import Enum, auto


class CharacterState(Enum):
    IDLE = auto()
    PERSP = auto()
    PLAN = auto()
    ACT = auto()
    MOVE = auto()
    USE = auto()
    SUM = auto()
    EMOTION = auto()
    ACTREFLECTION = auto()
    CHATINIT = auto()
    CHATING = auto()
    RECEIVECHAT = auto()


class PromptType(Enum):
    PERSPECT = auto()
    PLAN = auto()
    ACT = auto()
    USE = auto()
    SUM = auto()
    EMOTION = auto()
    ACTREFLECTION = auto()
    CHATINIT = auto()
    CHATING = auto()
    INNER_MONOLOGUE = auto()
