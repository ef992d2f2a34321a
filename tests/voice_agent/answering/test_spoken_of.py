"""What the documents speak of: strange words, near passages, and versions that come and go."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.voice_agent.answering.small_roads import small_chooser
from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from tests.voice_agent.passages import passage
from voice_agent.answering.road_chooser import Asked
from voice_agent.answering.spoken_of import SpokenOf
from voice_agent.knowledge.versions import VersionStore
from voice_agent.reply import Road


def _promote(index: Path, name: str, text: str, embedder: str = "hashed") -> None:
    store = VersionStore(index)
    given = passage("p1", text)
    manifest = {"version": name, "embedder": embedder}
    vectors = HashedEmbedder().embed([given.embedded_text])
    with store.building():
        store.write(name, [given], vectors, manifest)
    store.promote(name)


def test_without_an_index_no_word_is_strange_and_no_passage_near(tmp_path: Path) -> None:
    for index in (None, tmp_path / "nothing"):
        spoken_of = SpokenOf(["sofa"], index, "hashed")
        assert not spoken_of.refresh()
        assert spoken_of.strange("platypus quokka wombat") == 0
        assert spoken_of.nearness(HashedEmbedder().embed(["sofa"])).tolist() == [-1.0]


def test_words_of_documents_and_examples_are_known(tmp_path: Path) -> None:
    _promote(tmp_path, "one", "A wombat sleeps on the couch.")
    spoken_of = SpokenOf(["platypus"], tmp_path, "hashed")
    assert spoken_of.refresh()
    assert not spoken_of.refresh()
    assert spoken_of.strange("Do wombats and the platypus sleep?") == 0
    assert spoken_of.strange("Does a quokka sleep?") == 1
    assert spoken_of.strange("quokka numbat bilby") == 2


def test_a_newly_promoted_version_counts_from_its_next_look(tmp_path: Path) -> None:
    _promote(tmp_path, "one", "A wombat sleeps.")
    spoken_of = SpokenOf([], tmp_path, "hashed")
    spoken_of.refresh()
    _promote(tmp_path, "two", "A quokka sleeps.")
    assert spoken_of.strange("quokka") == 1
    assert spoken_of.refresh()
    assert spoken_of.strange("quokka") == 0


def test_a_damaged_version_leaves_what_was_known(tmp_path: Path) -> None:
    _promote(tmp_path, "one", "A wombat sleeps.")
    spoken_of = SpokenOf([], tmp_path, "hashed")
    spoken_of.refresh()
    (tmp_path / "current").write_text("gone", encoding="utf-8")
    assert not spoken_of.refresh()
    assert spoken_of.strange("wombat quokka") == 1


def test_passages_of_another_embedding_model_are_not_compared(tmp_path: Path) -> None:
    _promote(tmp_path, "one", "A wombat sleeps.", embedder="another")
    spoken_of = SpokenOf([], tmp_path, "hashed")
    assert spoken_of.refresh()
    assert np.all(spoken_of.nearness(HashedEmbedder().embed(["wombat"])) == -1)
    assert spoken_of.strange("quokka") == 1


def test_what_a_passage_speaks_of_is_not_out_of_scope(tmp_path: Path) -> None:
    asked = Asked("football and weather insurance")
    assert small_chooser(index=tmp_path).compared(asked).road is Road.OUT_OF_SCOPE
    _promote(tmp_path, "one", "Football and weather insurance.")
    choice = small_chooser(index=tmp_path, spoken_of=0.4).compared(asked)
    assert choice.road is not Road.OUT_OF_SCOPE
