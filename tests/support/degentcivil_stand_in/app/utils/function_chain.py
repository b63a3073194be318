"""Functions one after the other; the first that fails ends the chain, and only the terminal hears of it."""

import os
import traceback

import ipdb


class FunctionChain:
    def __init__(self, functions=()):
        self.functions = list(functions)

    def add(self, function):
        self.functions.append(function)

    def execute(self, obj, *arguments):
        try:
            for function in self.functions:
                function(obj, *arguments)
        except Exception as error:
            traceback.print_exc()
            if os.environ.get("DEBUG"):
                ipdb.set_trace()
            return False, str(error)
        return True, ""
