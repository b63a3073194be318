"""Eight feelings that fade."""

NAMES = ("joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation")


class Emotion:
    def __init__(self):
        self.emotion = dict.fromkeys(NAMES, 1.0)
        self.impressive_event = ""

    @property
    def extreme_emotion_name(self):
        return max(self.emotion, key=self.emotion.__getitem__)

    @property
    def extreme_emotion_value(self):
        return self.emotion[self.extreme_emotion_name]

    def change(self, name, by):
        self.emotion[name] = min(10.0, max(0.0, self.emotion[name] + by))

    def decay(self):
        for name, value in self.emotion.items():
            self.emotion[name] = round(value * 0.99, 4)
