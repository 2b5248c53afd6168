from stablellava_assets.tables.identity import choose, content_key, derive_seed, ranked


def test_keys_are_the_same_on_every_machine() -> None:
    assert content_key("spec", "animal", "0001", 7) == "8aa5c4b94b3a9bddd65b14b0a83e02b7"
    assert derive_seed("koala") == 1887107824457865327


def test_keys_tell_types_and_boundaries_apart() -> None:
    keys = {content_key("ab", "c"), content_key("a", "bc"), content_key(1), content_key("1"), content_key(["a"], "b")}
    assert len(keys) == 5


def test_seeds_fit_a_signed_64_bit_column() -> None:
    assert all(0 <= derive_seed(number) < 2**63 for number in range(1000))


def test_editing_one_option_moves_only_the_choices_that_fall_on_it() -> None:
    before = ["koala", "fox", "owl", "pig", "bear"]
    after = ["koala", "fox", "owl", "pig", "panda"]
    for number in range(500):
        old, new = choose(before, number), choose(after, number)
        assert old == new or old == "bear" or new == "panda"


def test_choices_spread_evenly() -> None:
    options = [f"option {number}" for number in range(10)]
    counts = dict.fromkeys(options, 0)
    for number in range(10_000):
        counts[choose(options, "spread", number)] += 1
    assert min(counts.values()) > 880
    assert max(counts.values()) < 1120


def test_ranking_starts_with_the_choice_and_keeps_every_option() -> None:
    options = ["a", "b", "c", "d"]
    order = ranked(options, "x")
    assert order[0] == choose(options, "x")
    assert sorted(order) == options
