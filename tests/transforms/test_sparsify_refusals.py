"""What `sparsify` refuses, and what it goes around."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers import MaskedDense
from sparsified import perceptron, sparse_layers


def shared_between_models():
    shared, inner_inputs, inputs = layers.Dense(8, name="shared"), keras.Input((8,)), keras.Input((8,))
    inner = keras.Model(inner_inputs, shared(inner_inputs), name="inner")
    return keras.Model(inputs, inner(shared(inputs)), name="outer")


def unbuilt():
    return keras.Sequential([layers.Dense(3)])


def lora():
    model = perceptron()
    model.layers[0].enable_lora(2)
    return model


class Opaque(layers.Layer):
    """Cannot be followed on symbolic tensors."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, input_shape):
        if not self.inner.built:
            self.inner.build(input_shape)

    def call(self, x):
        return 1 / 0 if isinstance(x, keras.KerasTensor) else self.inner(x)

    def compute_output_spec(self, x):
        return self.inner.compute_output_spec(x)

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


def opaque():
    return keras.Sequential([keras.Input((4,)), Opaque(layers.Dense(3, name="unseen")), layers.Dense(2, name="seen")])


def test_layers_out_of_sight_are_named_and_may_be_excluded():
    with pytest.raises(ValueError, match="Received: the layers unseen, which are never called, or inside"):
        ks.sparsify(opaque(), 0.5)
    sparse = ks.sparsify(opaque(), 0.5, exclude="unseen")
    assert set(sparse_layers(sparse)) == {"seen"}


class Hiding(layers.Layer):
    """Makes a Dense layer that its configuration does not show."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(4, name="hidden")

    def build(self, input_shape):
        self.hidden.build(input_shape)

    def call(self, x):
        return self.hidden(x)


def hiding():
    return keras.Sequential([keras.Input((4,)), Hiding(), layers.Dense(2)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ks.sparsify(layers.Dense(3), 0.5), "`model` of sparsify must be a Keras model"),
        (lambda: ks.sparsify(unbuilt(), 0.5), "`model` of sparsify must be built"),
        (lambda: ks.sparsify(perceptron(), 1.0), "`sparsity` of sparsify must be a number in [0, 1)"),
        (lambda: ks.sparsify(perceptron(), 90), "Received: sparsity=90. It is the fraction of zeros"),
        (lambda: ks.sparsify(perceptron(), 0.5, topology="expandr"), "Did you mean 'expander'"),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation="erdos"), "`allocation` of sparsify must be one of"),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation={"conv": 0.5}), "These match no layer that can be sparse"),
        (lambda: ks.sparsify(perceptron(), 0.5, exclude="hiden_0"), "Did you mean 'hidden_0'?"),
        (lambda: ks.sparsify(perceptron(), 0.5, exclude="*"), "must have a Dense or Conv2D layer"),
        (lambda: ks.sparsify(perceptron(), 0.0), "must have a Dense or Conv2D layer"),
        (lambda: ks.sparsify(perceptron(), 0.5, seed=-1), "`seed` of sparsify must be an integer >= 0"),
        (lambda: ks.sparsify(perceptron(), 0.5, block_size=8), "a divisor of both fan_in=20 and fan_out=32"),
        (lambda: ks.sparsify(perceptron(), 0.5, topology=ks.topologies.Rotating(0.5)), "brings its own"),
        (lambda: ks.sparsify(shared_between_models(), 0.5), "Received: the layer 'shared' in inner, outer"),
        (lambda: ks.sparsify(lora(), 0.5), "must have no LoRA"),
        (lambda: ks.sparsify(perceptron(), 0.5, topology="from_masks"), "'random_rotating', 'rotating'. Received"),
        (lambda: ks.sparsify(perceptron(), 0.1, topology="radix_net"), 'or leave the layer dense. (layer "hidden_0")'),
        (
            lambda: ks.sparsify(perceptron(), 0.5, allocation={"top": 1.5}),
            "`allocation` of sparsify must be sparsities, numbers in [0, 1). Received: allocation={'top': 1.5}. "
            "The layer 'top' would have 1.5",
        ),
        (
            lambda: ks.sparsify(perceptron(), 0.5, allocation=lambda shapes, sparsity: [0.5, 0.5]),
            "must be a function that gives a list of 3 sparsities. Received: allocation=[0.5, 0.5]. One for each of "
            "the layers hidden_0, hidden_1, top",
        ),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation=lambda *_: None), "a list of 3 sparsities. Received"),
        (lambda: ks.sparsify(perceptron(), 0.5, allocation=lambda *_: [0.5, -1, 0.5]), "'hidden_1' would have -1"),
        (
            lambda: ks.sparsify(perceptron(), None, topology=ks.topologies.Rotating(0.5), allocation={"top": 0.9}),
            "`allocation` of sparsify must be left out with a topology that is given",
        ),
        (lambda: ks.sparsify(perceptron(), 0.5, topology=[[1, 0], [0, 1]]), "None with a topology that is given"),
        (
            lambda: ks.sparsify(perceptron(), None, topology=[[1, 0], [0, 1]]),
            'a mask of that shape. (layer "hidden_0")',
        ),
        (lambda: ks.sparsify(partly_sparse(), 0.5, allocation={"hidden_0": 0.9}), "Sparse already: hidden_0; `strip`"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_no_message_offers_what_no_name_makes():
    with pytest.raises(ValueError, match="must be one of") as caught:
        ks.sparsify(perceptron(), 0.5, topology="random")
    assert "from_mask" not in str(caught.value)


def partly_sparse():
    return ks.sparsify(perceptron(), None, allocation={"hidden_0": 0.9}, seed=0)


def test_what_is_sparse_stays_as_it_is():
    before = partly_sparse()
    after = ks.sparsify(before, 0.5, seed=1)
    np.testing.assert_array_equal(after.layers[0].mask, before.layers[0].mask)
    assert [layer.sparsity for layer in after.layers] == [0.9, 0.5, 0.5]


def test_a_hidden_layer_may_be_excluded():
    assert type(ks.sparsify(hiding(), 0.5, exclude="hidden").layers[-1]) is MaskedDense
