import keras
import numpy as np
import pytest

from keras_sparse.training import CoupledDecaySGD


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_is_sgd_on_a_loss_with_an_l2_penalty(momentum, nesterov):
    """Decay d in the gradient is the gradient of d / 2 times the squared norm."""
    x, y = np.random.default_rng(0).normal(size=(2, 32, 4)).astype("float32")

    def train(optimizer, regularizer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(4, kernel_regularizer=regularizer, use_bias=False)]
        )
        model.compile(optimizer, "mse")
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()[0]

    coupled = train(CoupledDecaySGD(0.05, momentum, nesterov, coupled_decay=0.1), None)
    penalised = train(keras.optimizers.SGD(0.05, momentum, nesterov), keras.regularizers.L2(0.05))
    np.testing.assert_allclose(coupled, penalised, rtol=1e-4, atol=1e-6)
    plain = train(keras.optimizers.SGD(0.05, momentum, nesterov), None)
    assert not np.allclose(coupled, plain, rtol=1e-3)


def test_config_round_trip():
    optimizer = CoupledDecaySGD(0.1, momentum=0.9, nesterov=True, coupled_decay=0.01)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert again.coupled_decay == 0.01


def test_errors():
    with pytest.raises(ValueError, match="`coupled_decay` of CoupledDecaySGD"):
        CoupledDecaySGD(coupled_decay=-1)
