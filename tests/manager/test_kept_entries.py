"""What loads and instances have said is there again after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tests.manager.customer import customer_of, on_loop
from tests.manager.harness import running, settings_for


class Kept(msgspec.Struct):
    kind: str
    body: dict[str, Any]


class Memory:
    """A keeper that is asked, as `storage.manager_memory` is, and remembers."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.waited_for: dict[str, Kept] = {}
        """What was there when somebody last waited for it to be saved."""

    def desired(self) -> dict[str, Kept]:
        return dict(self.kept)

    def put_desired(self, name: str, kind: str, body: dict[str, Any]) -> None:
        self.kept[name] = Kept(kind, body)

    def drop_desired(self, name: str) -> bool:
        return self.kept.pop(name, None) is not None

    async def saved(self) -> None:
        self.waited_for = dict(self.kept)


@on_loop
async def test_entries_outlive_a_restart(folder: Path) -> None:
    """What loads have said and the instances that were made are there again; what was taken back
    is not."""
    settings, memory = settings_for(folder, models={"a": {}}), Memory()
    async with running(settings, keeper=memory) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a", settings={"context_length": 64, "ttl": "never"})
        await customer.order("load", model="b", settings={"engine": "fake"}, wait=False)
        assert "options:a" in memory.waited_for
        await customer.order("instances.create", model="a", name="x", wait=False)
        assert "instance:a@x" in memory.waited_for
        await customer.order("instances.create", model="a", name="y", wait=False)
        await customer.order("instances.delete", id="y")
        await customer.refusal("load", model="b", reset=True)
    async with running(settings, keeper=memory) as manager:
        listed = {
            model.id: model.instance_of for model in manager.desk.marked(manager.pool.models())
        }
        assert listed == {"a": None, "a@x": "a"}
        assert (await customer_of(manager).order("load", model="a"))["context_length"] == 64
