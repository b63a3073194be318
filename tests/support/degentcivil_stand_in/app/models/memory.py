"""What a character keeps in mind, now and for long."""


class WorkingMemory:
    def __init__(self):
        self.wm = {}

    def store(self, **values):
        self.wm.update(values)


class Memory:
    def __init__(self):
        self.people = {}
        self.building = {}
        self.numeric_memory = []

    def add(self, kind, name, entry):
        getattr(self, kind).setdefault(name, []).append(entry)


class Schedule:
    def __init__(self):
        self.summary = ""
        self.steps = []
        self.current_index = 0

    @property
    def current_step(self):
        return self.steps[self.current_index] if self.current_index < len(self.steps) else ""

    def set(self, summary, steps):
        self.summary, self.steps, self.current_index = summary, list(steps), 0
