"""Which batch comes next."""

from stablellava_assets.planning.upcoming import next_batches

BATCHES = ["0001", "0002", "0003"]


def test_every_ability_goes_on_where_it_is() -> None:
    published = [("animal", "0001"), ("animal", "0002"), ("food", "0001"), ("food", "0002"), ("food", "0003")]
    assert next_batches(BATCHES, published, ["animal", "food", "hair"]) == {"animal": "0003", "hair": "0001"}


def test_a_batch_that_was_left_out_comes_first() -> None:
    assert next_batches(BATCHES, [("animal", "0001"), ("animal", "0003")], ["animal"]) == {"animal": "0002"}
