"""Which files an order may name: those below MODEL_BASE_PATH and what is allowed beside."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.manager.customer import customer_of, on_loop
from tests.manager.harness import running, settings_for

from tricorn.errors import InvalidRequest, NotAllowed, TricornError


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("../outside.gguf", NotAllowed),
        ("/etc/passwd", NotAllowed),
        ("x/../../outside.gguf", NotAllowed),
        ("link.gguf", NotAllowed),
        ("folder", NotAllowed),
        ("nothing.gguf", InvalidRequest),
        ("a\0b", InvalidRequest),
        ("a\nb", InvalidRequest),
        ("", InvalidRequest),
    ],
)
@on_loop
async def test_paths_that_lead_out(folder: Path, path: str, kind: type[TricornError]) -> None:
    """Outside MODEL_BASE_PATH, by itself or by a link, also of a file in a folder that it names."""
    models = folder / "models"
    (models / "folder").mkdir(parents=True)
    (folder / "outside.gguf").write_bytes(b"GGUF")
    (models / "link.gguf").symlink_to(folder / "outside.gguf")
    (models / "folder" / "model.safetensors").symlink_to(folder / "outside.gguf")
    async with running(settings_for(folder)) as manager:
        error = await customer_of(manager).refusal("load", model="n", settings={"path": path})
        assert (type(error), error.param) == (kind, "model_path")
        assert manager.overrides.options("n") is None


@on_loop
async def test_allowed_paths(folder: Path) -> None:
    """ALLOWED_MODEL_PATHS adds folders; what is in them is then looked at."""
    (folder / "more").mkdir()
    (folder / "more" / "m.gguf").write_bytes(b"no GGUF")
    settings = settings_for(folder, allowed_model_paths=[str(folder / "more")])
    async with running(settings) as manager:
        customer = customer_of(manager)
        given = {"path": str(folder / "more" / "m.gguf")}
        error = await customer.refusal("load", model="n", settings=given)
        assert isinstance(error, InvalidRequest)
        assert "GGUF" in error.message
        outside = {"engine": "fake", "engine_args": {"files": [{"mmproj": "/etc/passwd"}]}}
        refused = await customer.refusal("load", model="n", settings=outside)
        assert (type(refused), refused.param) == (NotAllowed, "engine_args.files[0].mmproj")
        foreign = {"engine": "fake", "engine_args": {"speculative_config": {"Worker-Cls": "os"}}}
        refused = await customer.refusal("load", model="n", settings=foreign)
        expected = (NotAllowed, "engine_args.speculative_config.Worker-Cls")
        assert (type(refused), refused.param) == expected
        harmless = {"engine": "fake", "engine_args": {"trust_remote_code": False}}
        await customer.order("load", model="n", settings=harmless)
