"""A whole pull from a hub that has faults."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.hub.lookalike import COMMIT, LookAlike
from tests.manager.model_folders import put_folder
from tests.model_facts.gguf_files import gguf

from tricorn.errors import (
    DownloadFailed,
    InsufficientStorage,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    TricornError,
)
from tricorn.hardware.choice import Choice
from tricorn.hub import names, transfer
from tricorn.hub import pull as pulling
from tricorn.hub.repository import Hub
from tricorn.hub.transfer import Patience
from tricorn.hub.updates import Done, Plan, Progress, Update, Verifying, Waiting
from tricorn.manager.catalog.catalog import Catalog
from tricorn.settings.config import Settings

BIG = bytes(range(256)) * 400
"""A large file: the hub keeps it elsewhere."""


class Puller:
    """Pulls from `hub` into `root`, without waiting between tries."""

    def __init__(self, hub: LookAlike, root: Path) -> None:
        self.hub = hub
        self.root = root
        self.told: list[Update] = []
        self.waits: list[float] = []
        self.free = 10**12

    def __call__(self, name: str, *, retries: int = 3) -> Done:
        self.told.clear()
        return pulling.pull(
            names.parse(name),
            self.root,
            self.told.append,
            hub=Hub(self.hub.endpoint),
            patience=Patience(retries, 1.0, self.waits.append),
            free=lambda folder: self.free,
        )

    def plan(self) -> Plan:
        (plan,) = (one for one in self.told if isinstance(one, Plan))
        return plan

    def parts(self) -> list[Path]:
        return sorted(self.root.glob("**/*.part"))


@pytest.fixture
def pull(hub: LookAlike, tmp_path: Path) -> Puller:
    hub.repos["org/model-GGUF"] = {
        "model-Q4_K_M.gguf": BIG,
        "model-Q8_0.gguf": BIG * 2,
        "README.md": b"# model",
    }
    return Puller(hub, tmp_path / "models")


def catalog(root: Path) -> Catalog:
    chosen = Choice("llamacpp", "cpu", ("as the test wants it",))
    return Catalog(Settings(model_base_path=root), lambda traits, preferences: chosen)


def test_one_quantisation_comes_and_lies_where_the_catalog_looks(pull: Puller) -> None:
    """Only the file that was asked for, whole, under ORG/NAME."""
    done = pull("org/model-GGUF")
    path = pull.root / "org/model-GGUF/model-Q4_K_M.gguf"
    assert path.read_bytes() == BIG
    assert sorted(file.name for file in path.parent.iterdir()) == [".pull", path.name]
    assert done == Done(["org/model-GGUF/model-Q4_K_M"], [str(path)], len(BIG))
    plan = pull.plan()
    assert (plan.total, plan.completed, plan.commit) == (len(BIG), 0, COMMIT)
    last = [one for one in pull.told if isinstance(one, Progress)][-1]
    assert (last.completed, last.file_completed, last.total) == (len(BIG),) * 3
    assert pull.told[-1] is done


def test_the_catalog_lists_what_was_pulled_and_nothing_half(pull: Puller) -> None:
    """A model by the id that the pull told, and no partial file."""
    pull.hub.repos["org/tiny"] = {"tiny-Q8_0.gguf": gguf()}
    done = pull("org/tiny")
    pull.hub.faults.cut["model-Q8_0.gguf"] = [70_000]
    with pytest.raises(DownloadFailed):
        pull("org/model-GGUF:Q8_0", retries=0)
    specs = catalog(pull.root).scan()
    assert list(specs) == done.models == ["org/tiny/tiny-Q8_0"]
    assert specs["org/tiny/tiny-Q8_0"].fault is None


def test_a_folder_is_pulled_whole(pull: Puller, tmp_path: Path) -> None:
    """Every file that an engine reads; the catalog finds no fault with it."""
    made = put_folder(tmp_path / "made", parts=2)
    content = {file.name: file.read_bytes() for file in made.iterdir()}
    pull.hub.repos["org/folder"] = content | {"README.md": b"#", "pytorch_model.bin": BIG}
    done = pull("org/folder")
    folder = pull.root / "org/folder"
    there = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    assert there == content
    spec = catalog(pull.root).scan()["org/folder"]
    assert (done.models, spec.fault, spec.format) == (["org/folder"], None, "hf")


def test_a_folder_has_no_config_before_it_is_whole(pull: Puller, tmp_path: Path) -> None:
    """While it comes, the catalog sees no model in it."""
    made = put_folder(tmp_path / "made")
    content = {file.name: file.read_bytes() for file in made.iterdir()}
    pull.hub.repos["org/folder"] = content | {"vocab.json": BIG}
    pull.hub.faults.wrong.add("vocab.json")
    with pytest.raises(DownloadFailed):
        pull("org/folder")
    assert catalog(pull.root).scan() == {}
    pull.hub.faults.wrong.clear()
    pull("org/folder")
    assert list(catalog(pull.root).scan()) == ["org/folder"]


def test_a_cut_connection_is_taken_up_where_it_was_cut(pull: Puller) -> None:
    """The rest is asked for by its range, in the same pull, after a wait that grows."""
    pull.hub.faults.cut["model-Q4_K_M.gguf"] = [30_000, 0, 0, 50_000]
    done = pull("org/model-GGUF")
    assert done.fetched == len(BIG)
    ends = ["30000-102399", "30000-102399", "30000-102399", "80000-102399"]
    expected = [None, *(f"bytes={end}" for end in ends)]
    assert pull.hub.ranges("model-Q4_K_M.gguf") == expected
    assert pull.waits == [1.0, 2.0, 4.0, 1.0]


def test_a_later_pull_goes_on(pull: Puller) -> None:
    """What came before a pull failed is not fetched again, and counts as completed."""
    pull.hub.faults.cut["model-Q4_K_M.gguf"] = [40_000]
    with pytest.raises(DownloadFailed, match=r"what has come is kept"):
        pull("org/model-GGUF", retries=0)
    assert [part.stat().st_size for part in pull.parts()] == [40_000]
    done = pull("org/model-GGUF")
    assert pull.plan().completed == 40_000
    assert done.fetched == len(BIG) - 40_000
    assert pull.hub.ranges("model-Q4_K_M.gguf")[-1] == "bytes=40000-102399"
    assert any(isinstance(one, Verifying) for one in pull.told)
    assert Path(done.files[0]).read_bytes() == BIG
    assert pull.parts() == []


def test_a_hub_without_ranges(pull: Puller) -> None:
    """Where the rest cannot be had alone the file is begun anew."""
    pull.hub.faults.no_ranges = True
    pull.hub.faults.cut["model-Q4_K_M.gguf"] = [40_000]
    done = pull("org/model-GGUF")
    assert Path(done.files[0]).read_bytes() == BIG
    last = [one for one in pull.told if isinstance(one, Progress)][-1]
    assert last.completed == len(BIG)


def test_very_large_files_come_in_pieces(pull: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is longer than content networks allow."""
    monkeypatch.setattr(pulling, "fetch", functools.partial(transfer.fetch, piece=50_000))
    done = pull("org/model-GGUF")
    assert Path(done.files[0]).read_bytes() == BIG
    asked = pull.hub.ranges("model-Q4_K_M.gguf")
    assert asked == ["bytes=0-49999", "bytes=50000-99999", "bytes=100000-102399"]


def test_a_wrong_hash_removes_the_file(pull: Puller) -> None:
    """Nothing of it stays, neither in its place nor as a part."""
    pull.hub.faults.wrong.add("model-Q4_K_M.gguf")
    with pytest.raises(DownloadFailed, match="its hash or size differs"):
        pull("org/model-GGUF")
    assert pull.parts() == []
    assert not list(pull.root.glob("**/*.gguf"))


def test_a_spoilt_part_is_found_out(pull: Puller) -> None:
    """What lay on the disk is hashed too, not only what comes."""
    pull.hub.faults.cut["model-Q4_K_M.gguf"] = [40_000]
    with pytest.raises(DownloadFailed):
        pull("org/model-GGUF", retries=0)
    (part,) = pull.parts()
    part.write_bytes(bytes(40_000))
    with pytest.raises(DownloadFailed, match="differs"):
        pull("org/model-GGUF")
    pull("org/model-GGUF")


def test_a_part_of_what_is_no_more_is_removed(pull: Puller) -> None:
    """The hub has another file in its place now: the old one's beginning is of no use."""
    pull.hub.faults.cut["model-Q4_K_M.gguf"] = [40_000]
    with pytest.raises(DownloadFailed):
        pull("org/model-GGUF", retries=0)
    pull.hub.repos["org/model-GGUF"]["model-Q4_K_M.gguf"] = BIG[::-1]
    done = pull("org/model-GGUF")
    assert (done.fetched, pull.parts()) == (len(BIG), [])


def test_files_of_the_same_content(pull: Puller, tmp_path: Path) -> None:
    """Each comes into its own place."""
    made = put_folder(tmp_path / "made")
    content = {file.name: file.read_bytes() for file in made.iterdir()}
    pull.hub.repos["org/folder"] = content | {"a.json": b"{}", "b.json": b"{}"}
    pull("org/folder")
    assert (pull.root / "org/folder/a.json").read_text() == "{}"
    assert (pull.root / "org/folder/b.json").read_text() == "{}"


def test_small_files_are_checked_too(pull: Puller, tmp_path: Path) -> None:
    """By git's hash, as they are no LFS files."""
    made = put_folder(tmp_path / "made")
    pull.hub.repos["org/folder"] = {file.name: file.read_bytes() for file in made.iterdir()}
    pull.hub.faults.wrong.add("tokenizer.json")
    with pytest.raises(DownloadFailed, match=r"tokenizer\.json"):
        pull("org/folder")


def test_what_is_there_is_not_fetched_again(pull: Puller) -> None:
    """Pulled once, a file is known by size and time; it is not even read."""
    pull("org/model-GGUF")
    pull.hub.asked.clear()
    done = pull("org/model-GGUF")
    assert done.fetched == 0
    assert not any(isinstance(one, Verifying) for one in pull.told)
    assert [one.path.split("?")[0] for one in pull.hub.asked] == ["/api/models/org/model-GGUF"]


def test_a_file_that_was_put_there_by_hand_is_used(pull: Puller) -> None:
    """After it was read; one with other content is fetched."""
    path = pull.root / "org/model-GGUF/model-Q4_K_M.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(BIG)
    assert pull("org/model-GGUF").fetched == 0
    assert any(isinstance(one, Verifying) for one in pull.told)
    path.write_bytes(bytes(len(BIG)))
    os.utime(path, (1, 1))
    assert pull("org/model-GGUF").fetched == len(BIG)
    assert path.read_bytes() == BIG


def test_a_new_revision_replaces_a_folders_files(pull: Puller, tmp_path: Path) -> None:
    """Files that it has no more are gone, those that somebody else put there stay."""
    made = put_folder(tmp_path / "made")
    content = {file.name: file.read_bytes() for file in made.iterdir()}
    pull.hub.repos["org/folder"] = content | {"old.json": b"{}"}
    pull("org/folder")
    folder = pull.root / "org/folder"
    (folder / "mine.json").write_text("{}")
    pull.hub.repos["org/folder"] = content | {"tokenizer.json": b'{"new": 1}'}
    done = pull("org/folder")
    assert (folder / "tokenizer.json").read_text() == '{"new": 1}'
    assert (done.fetched, (folder / "old.json").exists()) == (10, False)
    assert (folder / "mine.json").exists()


def test_quantisations_live_beside_each_other(pull: Puller) -> None:
    """A second one leaves the first alone."""
    pull("org/model-GGUF")
    pull("org/model-GGUF:Q8_0")
    found = sorted(file.name for file in (pull.root / "org/model-GGUF").glob("*.gguf"))
    assert found == ["model-Q4_K_M.gguf", "model-Q8_0.gguf"]


def test_a_revision(pull: Puller) -> None:
    """The commit that a branch names is what is fetched."""
    pull.hub.commits["dev"] = "d" * 40
    pull("org/model-GGUF@dev")
    assert pull.plan().commit == "d" * 40
    assert any(f"/resolve/{'d' * 40}/" in one.path for one in pull.hub.asked)


def test_sizes_from_the_files_themselves(pull: Puller) -> None:
    """A mirror that lists names only is asked for each file."""
    pull.hub.faults.no_sizes = True
    done = pull("org/model-GGUF")
    assert Path(done.files[0]).read_bytes() == BIG
    pull.hub.faults.wrong.add("model-Q8_0.gguf")
    with pytest.raises(DownloadFailed, match="differs"):
        pull("org/model-GGUF:Q8_0")


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("org/nothing", ModelNotFound, r"127.0.0.1 has no repository org/nothing, or .* HF_TOKEN"),
        ("org/model-GGUF@nope", ModelNotFound, "has no revision nope"),
        ("org/model-GGUF:Q3_K_M", ModelNotFound, "has no Q3_K_M; it has Q4_K_M, Q8_0"),
        ("org/gated", NotAllowed, "org/gated is gated: accept its terms .* HF_TOKEN"),
    ],
)
def test_what_the_hub_refuses(pull: Puller, name: str, kind: type[TricornError], text: str) -> None:
    """One sentence each that says what to do; nothing is tried twice, and no folder is left."""
    pull.hub.repos["org/gated"] = {"m-Q4_0.gguf": BIG}
    pull.hub.gated.add("org/gated")
    with pytest.raises(kind, match=text):
        pull(name)
    assert pull.waits == []


def test_a_file_that_has_gone_meanwhile(pull: Puller) -> None:
    """Listed, and 404 when it is asked for."""
    pull.hub.faults.status["/org/model-GGUF/resolve"] = [404]
    with pytest.raises(ModelNotFound, match=r"has no file model-Q4_K_M.gguf"):
        pull("org/model-GGUF")


def test_a_token_opens_what_is_gated_and_goes_nowhere_else(
    pull: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub gets it; the store that the hub redirects to does not."""
    pull.hub.gated.add("org/model-GGUF")
    monkeypatch.setenv("HF_TOKEN", pull.hub.token)
    pull("org/model-GGUF")
    authorised = {
        one.path.split("/")[1]: one.headers.get("authorization") for one in pull.hub.asked
    }
    assert authorised == {
        "api": f"Bearer {pull.hub.token}",
        "org": f"Bearer {pull.hub.token}",
        "store": None,
    }


def test_no_error_tells_a_token(pull: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one is refused without being repeated, and so is one that HTTP cannot carry."""
    pull.hub.gated.add("org/model-GGUF")
    for token in ("hf_wrong_secret", "hf_wrong\x01secret"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(NotAllowed, match="HF_TOKEN") as caught:
            pull("org/model-GGUF")
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)


def test_a_failing_hub_is_asked_again(pull: Puller) -> None:
    """500 and then fine, for the list as for the file."""
    pull.hub.faults.status = {"/api/": [500, 503], "/org/": [502], "/store/": [429]}
    pull("org/model-GGUF")
    assert pull.waits == [1.0, 2.0, 1.0, 2.0]


def test_a_hub_that_goes_on_failing(pull: Puller) -> None:
    """After some tries it is an error with the status in it."""
    pull.hub.faults.status = {"/api/": [500] * 10}
    with pytest.raises(DownloadFailed, match=r"127.0.0.1 answers 500, also when tried again"):
        pull("org/model-GGUF")
    assert len(pull.waits) == pulling.ASKED_AGAIN == 2
    assert pull.told == [Waiting("127.0.0.1 answers 500: trying again")] * 2


def test_no_hub_at_all(pull: Puller) -> None:
    """Nobody listens there."""
    pull.hub.close()
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 cannot be reached"):
        pull("org/model-GGUF")


def test_something_else_than_a_hub(pull: Puller) -> None:
    """A login page in place of JSON, or an address that is none."""
    pull.hub.faults.page = b"<html>log in</html>"
    with pytest.raises(DownloadFailed, match="does not answer as a Hugging Face hub"):
        pull("org/model-GGUF")
    pull.hub.endpoint = "nonsense"
    with pytest.raises(DownloadFailed, match="does not answer as a Hugging Face hub"):
        pull("org/model-GGUF")


def test_offline(pull: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's own switch is named."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        pull("org/model-GGUF")


def test_the_disk_is_looked_at_first(pull: Puller) -> None:
    """Nothing is fetched that cannot fit beside the reserve; what is there counts as there."""
    pull.free = pulling.RESERVE_BYTES + len(BIG) - 1
    with pytest.raises(InsufficientStorage, match=r"needs 0.0 GB more .* 1.0 GB left") as caught:
        pull("org/model-GGUF")
    assert caught.value.status == 507
    assert pull.hub.ranges("model-Q4_K_M.gguf") == []
    pull.free += 1
    pull("org/model-GGUF")
    pull.free = 0
    pull("org/model-GGUF")


def test_a_link_out_of_the_folder_is_not_followed(pull: Puller, tmp_path: Path) -> None:
    """MODEL_BASE_PATH/ORG may not lead elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    pull.root.mkdir()
    (pull.root / "org").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DownloadFailed, match="leads out of"):
        pull("org/model-GGUF")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_ambiguous(pull: Puller) -> None:
    """Two models of one quantisation: the error tells how to name one."""
    pull.hub.repos["org/two"] = {"a-Q4_K_M.gguf": BIG, "b-Q4_K_M.gguf": BIG}
    with pytest.raises(InvalidRequest, match=r"org/two:a-Q4_K_M.gguf"):
        pull("org/two")


def test_two_pulls_into_one_folder(hub: LookAlike, pull: Puller) -> None:
    """The second one waits, says so, and finds the files."""
    reached, release = hub.hold("model-Q4_K_M.gguf", 10_000)
    first = threading.Thread(target=pull, args=("org/model-GGUF",))
    first.start()
    assert reached.wait(10)
    told: list[Update] = []

    def tell(update: Update) -> None:
        told.append(update)
        if isinstance(update, Waiting):
            release.set()

    done = pulling.pull(names.parse("org/model-GGUF"), pull.root, tell, hub=Hub(hub.endpoint))
    first.join(10)
    assert isinstance(told[0], Waiting)
    assert done.fetched == 0
