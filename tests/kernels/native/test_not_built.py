import pickle

from keras_sparse.kernels.native.not_built import CONSEQUENCE, NotBuilt


def test_message():
    assert str(NotBuilt("it rains")) == f"No native operations: it rains. {CONSEQUENCE}"
    full = NotBuilt("it rains", "Wait.", "\n".join(map(str, range(99))))
    assert str(full).splitlines()[0] == f"No native operations: it rains. {CONSEQUENCE} Wait."
    assert [line.strip() for line in str(full).splitlines()[1:]] == [str(i) for i in range(87, 99)]
    assert str(pickle.loads(pickle.dumps(full))) == str(full)
