import pytest

from keras_sparse import checks


class Owner:
    name = "conv2"


def test_errors_name_argument_owner_allowed_and_received():
    with pytest.raises(ValueError, match=r'`k` of Owner "conv2" must be an integer >= 1\. Received: k=0\.'):
        checks.integer("k", 0, Owner(), minimum=1)


@pytest.mark.parametrize("value", [True, 2.0, "2", None])
def test_integer_refuses_what_only_looks_like_one(value):
    with pytest.raises(ValueError, match="an integer"):
        checks.integer("k", value, "Thing", minimum=0)


def test_number_bounds():
    assert checks.number("s", 1, "Thing", 0, 1) == 1.0
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        checks.number("s", 1, "Thing", 0, 1, exclude_maximum=True)
    with pytest.raises(ValueError, match="s=nan"):
        checks.number("s", float("nan"), "Thing", 0, 1)


@pytest.mark.parametrize(
    ("value", "hint"), [("cifr10", "Did you mean 'cifar10'?"), ("x", "Pick one of them."), (3, "Pick one of them.")]
)
def test_choice_suggests_the_nearest_name(value, hint):
    with pytest.raises(ValueError) as caught:
        checks.choice("dataset", value, "Recipe", ("cifar10", "digits", None))
    assert str(caught.value) == (
        f"`dataset` of Recipe must be one of 'cifar10', 'digits', None. Received: dataset={value!r}. {hint}"
    )


def test_per_stage_repeats_one_value_and_counts_several():
    assert checks.per_stage("k", 12, "Net", 3) == [12, 12, 12]
    assert checks.per_stage("k", (1, 2, 3), "Net", 3) == [1, 2, 3]
    with pytest.raises(ValueError, match="3 stages"):
        checks.per_stage("k", (1, 2), "Net", 3)
