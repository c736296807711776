"""What goes with a model, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.manager.customer import customer_of, on_loop
from tests.manager.harness import running, settings_for
from tests.model_facts.gguf_files import gguf

from tricorn.errors import NotAllowed
from tricorn.hardware.choice import Choice
from tricorn.installing import file_lock
from tricorn.manager.catalog.catalog import Catalog
from tricorn.manager.desk import deletion
from tricorn.settings.config import Settings


def delete(root: Path, model: str) -> list[str]:
    """What was told to be removed."""
    chosen = Choice("llamacpp", "cpu", ("as the test wants it",))
    settings = Settings(model_base_path=root, hf_cache=False)
    specs = Catalog(settings, lambda traits, preferences: chosen).scan()
    plan = deletion.plan(specs[model], specs, root)
    deletion.carry_out(plan)
    return plan.names()


def put(root: Path, names: str) -> None:
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(gguf())


def there(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("files", "model", "stay"),
    [
        ("o/r/m.gguf", "o/r/m", ""),
        ("o/r/m-Q4_0.gguf o/r/mmproj-m-f16.gguf", "o/r/m-Q4_0", ""),
        (
            "o/r/m-Q4_0.gguf o/r/m-Q8_0.gguf o/r/mmproj-f16.gguf",
            "o/r/m-Q4_0",
            "o/r/m-Q8_0.gguf o/r/mmproj-f16.gguf",
        ),
        ("a.gguf b.gguf mmproj-a.gguf", "a", "b.gguf"),
        ("o/r/m-Q4_0.gguf o/r/.pull/files.json", "o/r/m-Q4_0", ""),
        (
            "o/r/m.gguf o/r/.pull/files.json o/r/notes.txt",
            "o/r/m",
            "o/r/.pull/files.json o/r/notes.txt",
        ),
        (
            "o/r/m-00001-of-00002.gguf o/r/m-00002-of-00002.gguf o/x.gguf",
            "o/r/m",
            "o/x.gguf",
        ),
    ],
)
def test_what_goes_and_what_stays(tmp_path: Path, files: str, model: str, stay: str) -> None:
    """All parts, the mmproj file with the last model that sees by it, what pulls have left."""
    put(tmp_path, files)
    gone = delete(tmp_path, model)
    assert there(tmp_path) == stay.split()
    assert set(gone) <= set(files.split()) - set(stay.split())
    assert (tmp_path / "o").exists() is any(name.startswith("o/") for name in stay.split())


def test_a_pull_at_work_is_left_alone(tmp_path: Path) -> None:
    """Another quantisation that just comes in loses nothing."""
    put(tmp_path, "o/r/m-Q4_0.gguf o/r/.pull/x.part")
    with file_lock.hold(tmp_path / "o/r/.pull/lock", "pulling", print):
        delete(tmp_path, "o/r/m-Q4_0")
        assert there(tmp_path) == ["o/r/.pull/lock", "o/r/.pull/x.part"]


@on_loop
async def test_deletion(folder: Path) -> None:
    """Only where it is allowed; the model's own files go, and folders that are empty then."""
    models = folder / "models" / "org"
    models.mkdir(parents=True)
    (models / "m.gguf").write_bytes(b"no GGUF")
    (folder / "models" / "other.gguf").write_bytes(b"no GGUF")
    settings = settings_for(folder, models={"fake": {}})
    async with running(settings) as manager:
        customer = customer_of(manager)
        assert isinstance(await customer.refusal("delete", model="org/m"), NotAllowed)
        manager.settings = settings.model_copy(update={"allow_model_deletion": True})
        assert isinstance(await customer.refusal("delete", model="fake"), NotAllowed)
        gone = await customer.order("delete", model="org/m")
        assert (gone["deleted"], gone["files"]) == (True, ["org/m.gguf"])
        assert [path.name for path in (folder / "models").iterdir()] == ["other.gguf"]
        assert manager.pool.model("org/m") is None
