"""The connections of a layer with a sparse kernel, in its files: saved, checked, loaded."""

import numpy as np

from keras_sparse import checks
from keras_sparse.topologies.connections import Connections
from keras_sparse.topologies.topology import distinct


class SavedConnections:
    """The part of `SparseKernel` that saves and loads; it works on the variables that `SparseKernel` makes."""

    is_saved_as_stock = False  # as a layer of the Keras class, without a mask

    def _frozen(self):
        if self.format == "masked":
            frozen = {"mask": self._mask_variable, "moved": self._moved, "mask_step": self.mask_step}
            return frozen if self._movement is None else {**frozen, "movement": self._movement}
        return {"inputs": self._inputs, "outputs": self._outputs, "mask_step": self.mask_step}

    def save_own_variables(self, store):
        if not self.built:
            return
        if self.format == "masked":
            super().save_own_variables(store)
        else:
            store["0"] = self._kernel
            if self.use_bias:
                store["1"] = self.bias
        for name, variable in ({} if self.is_saved_as_stock else self._frozen()).items():
            store[name] = variable

    def load_own_variables(self, store):
        if not self.built:
            super().load_own_variables(store)
            return
        if self.is_saved_as_stock and "mask" not in store.keys():  # noqa: SIM118 (no `in` on a store)
            super().load_own_variables(store)
            self.cut_zeros()
            return
        frozen = self._frozen()
        if "movement" not in store.keys():  # noqa: SIM118
            frozen.pop("movement", None)  # saved before anyone watched: it begins at zero
        missing = [name for name in frozen if name not in store.keys()]  # noqa: SIM118
        if missing:
            raise ValueError(
                f"{checks.describe(self)} with format={self.format!r} looks for {', '.join(missing)} among its saved "
                f"weights. Received: {', '.join(store.keys()) or 'nothing'}. The file was saved from a layer of "
                "another kind or format: load it into such a model, then use `mask_in_place`, `sparsify` or `compact`."
            )
        if self.format == "masked":
            super().load_own_variables(store)
        else:
            self._load_compact(store)
        for name, variable in frozen.items():
            if name == "moved" and self._guard is not None and not self._kernel.constraint.was_used:
                self._guard.forget()  # no optimizer has seen the mask that was here before; the file knows of its own
            variable.assign(store[name])
        if self.format == "masked":
            self._look_at(np.asarray(store["mask"]))

    def _check_load_own_variables(self, store):
        # Keras counts what is saved, and would miss the mask; who is saved without knows.
        if not self.is_saved_as_stock:
            super()._check_load_own_variables(store)

    def _load_compact(self, store):
        pairs, room = np.asarray(store["inputs"]).shape[0], self._inputs.shape[0]
        if pairs != room:
            raise ValueError(
                f"{checks.describe(self)} has room for {room} connections. Received: {pairs} in the file. Load the "
                "whole model from `.keras`, which restores the room as well."
            )
        saved = [np.asarray(store[name]) for name in ("inputs", "outputs")]
        ordered = Connections.from_pairs(*saved, *self._size, self.block_size)  # checks them
        if not all(map(np.array_equal, saved, (ordered.inputs, ordered.outputs))):
            raise ValueError(
                f"`inputs` and `outputs` of {checks.describe(self)} must be sorted by output, then by input. Received: "
                "a file with another order, whose values would go astray. It was not saved by keras_sparse, or is "
                "damaged."
            )
        self._kernel.assign(store["0"])
        if self.use_bias:
            self.bias.assign(store["1"])

    # Room for what is loaded, when the layer is built anew

    def _restored(self, connections):
        """Room for as many connections as the saved layer had; the indices themselves are loaded later."""
        pairs = self._restored_pairs
        if pairs is None or pairs == len(connections):
            return connections
        b, fans = self.block_size, (connections.fan_in, connections.fan_out)
        rows, columns = fans[0] // b, fans[1] // b
        cells = distinct(np.random.default_rng(self.seed), 1, rows * columns, pairs)[0]
        return Connections.from_pairs(cells // columns, cells % columns, *fans, b)

    def get_build_config(self):
        config = super().get_build_config()
        if config is not None and self.format == "compact" and self.built:
            config["pairs"] = int(self._inputs.shape[0])
        if config is not None and self._movement is not None:
            config["movement"] = True
        return config

    def build_from_config(self, config):
        config = dict(config)
        self._restored_pairs = config.pop("pairs", None)
        self._had_movement = config.pop("movement", False)
        super().build_from_config(config)
