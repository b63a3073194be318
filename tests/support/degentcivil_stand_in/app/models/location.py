"""Buildings, which answer when they are used."""

from app.models.base_agent import SimsAgent


class InBuildingEquip:
    def __init__(self, name, instruction):
        self.name = name
        self.instruction = instruction


class Building(SimsAgent):
    def __init__(self, name, guid, description, bounds, equipments):
        super().__init__(name, guid)
        self.description = description
        self.xMin, self.xMax, self.yMin, self.yMax = bounds
        self.equipments = {f"{name}.{equipment}": InBuildingEquip(equipment, "use it") for equipment in equipments}
        self.job_positions = []


class BuildingList:
    def __init__(self, buildings):
        self.buildings = buildings

    def find(self, name):
        return next((building for building in self.buildings if building.name == name.split(".")[0]), None)
