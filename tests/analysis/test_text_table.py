import pytest

from keras_sparse.analysis.text_table import short, shorten, text_table


def test_words_stand_on_the_left_and_numbers_on_the_right():
    rows = [("conv1", "conv", "1,234,567", "0.5"), ("a", "dense", "8", "12.25")]
    assert text_table(("layer", "kind", "weights", "%"), rows, words=(26, 26)).splitlines() == [
        "layer  kind     weights      %",
        "------------------------------",
        "conv1  conv   1,234,567    0.5",
        "a      dense          8  12.25",
    ]


def test_only_words_that_are_too_wide_are_shortened():
    long = "the_name_of_a_layer_with_forty_characters"
    name, number = text_table(("layer", "n"), [(long, "1" * 40)]).splitlines()[-1].split()
    assert name == "the_name.._forty_characters"[:8] + ".." + long[-16:]
    assert number == "1" * 40
    assert long in text_table(("layer", "n"), [(long, "1")], words=(None,))


def test_no_line_ends_in_spaces():
    table = text_table(("layer", "kind"), [("a", "a kind"), ("b", "")], words=(26, 26))
    assert table == "layer  kind\n-------------\na      a kind\nb"


def test_without_rows_there_is_a_header():
    assert text_table(("layer", "n"), []) == "layer  n\n--------"


def test_every_row_has_a_cell_for_each_title():
    with pytest.raises(ValueError, match="zip"):
        text_table(("layer", "n"), [("conv1",)])


@pytest.mark.parametrize("width", [8, 9, 10, 25])
def test_shortened_words_keep_their_ends(width):
    shortened = shorten("conv4_block12_1_conv_depthwise", width)
    assert len(shortened) == width
    assert shortened.startswith("co")
    assert shortened.endswith("wise")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1.00k"), (1234, "1.23k"), (9_999, "10.0k"), (12_345, "12.3k"),
        (123_456, "123k"), (999_999, "1.00M"), (12_345_678, "12.3M"), (3_460_000_000, "3.46G"), (5e12, "5.00T"),
    ],
)  # fmt: skip
def test_three_digits_and_a_unit(number, text):
    assert short(number) == text
