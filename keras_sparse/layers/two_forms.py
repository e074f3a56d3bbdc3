"""A block of equal units has two forms, unrolled and looped: from one to the other."""

import keras
from keras import ops

from keras_sparse.layers.looped_aggregation_block import LoopedAggregationBlock
from keras_sparse.layers.paper_layers import channel_axis
from keras_sparse.layers.preactivation_unit import PreactivationUnit
from keras_sparse.layers.sparse_aggregation_block import SparseAggregationBlock
from keras_sparse.loops import OPERATORS


def unrolled_form(block):
    """A `SparseAggregationBlock` like a `LoopedAggregationBlock`, with weights of its own."""
    units = [
        PreactivationUnit(
            block.filters,
            block.kernel_size,
            data_format=block.data_format,
            dtype=block.dtype_policy,
            name=f"{block.name}_block{i + 1}",
        )
        for i in range(block.units)
    ]
    if block.first_unit is not None:
        units[0] = _copy(block.first_unit)
    return SparseAggregationBlock(
        units,
        pattern=block.pattern,
        operator=block.operator,
        shortcut=_copy(block.shortcut),
        axis=block.axis,
        dtype=block.dtype_policy,
        name=block.name,
    )


def looped_form(block, remat=False):
    """A `LoopedAggregationBlock` like a `SparseAggregationBlock` that `has_looped_form`, with weights of its own."""
    unit = block.units[-1]
    return LoopedAggregationBlock(
        len(block.units),
        unit.filters,
        unit.kernel_size,
        pattern=block.pattern,
        operator=block.operator,
        shortcut=_copy(block.shortcut),
        first_unit=None if block.shortcut is None else _copy(block.units[0]),
        data_format=unit.data_format,
        remat=remat,
        dtype=block.dtype_policy,
        name=block.name,
    )


def has_looped_form(block):
    """Whether the units of a `SparseAggregationBlock` are alike, as `PreactivationUnit` makes them, and train alike."""
    units = block.units if block.shortcut is None else block.units[1:]
    return bool(
        type(block) is SparseAggregationBlock
        and type(block.operator) in OPERATORS
        and units
        and all(type(unit) is PreactivationUnit for unit in units)
        and len({_kind(unit) for unit in units}) == 1
        and set(units[0].strides) == {1}
        and block.axis % 4 == channel_axis(units[0].data_format)
        and units[0].dtype_policy == block.dtype_policy
        and all(map(_is_as_made, units))
        and all(layer.trainable == block.trainable for unit in units for layer in unit._flatten_layers())
    )


def loops_of(model):
    """The `LoopedAggregationBlock`s of a model."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, LoopedAggregationBlock)]


def refuse_loops(model, owner):
    """Refuses a model whose units run as iterations of loops, where each is to be looked at or changed."""
    loops = [layer.name for layer in loops_of(model)]
    if loops:
        raise ValueError(
            f"`model` of {owner} must have a layer for each unit. Received: the model {model.name!r}, which runs those "
            f"of {', '.join(map(repr, loops))} as loops. Pass `keras_sparse.unroll(model)`, or build it with "
            "loop=False; `keras_sparse.roll` turns a model without sparse layers back."
        )


def copy_weights(source, target):
    """Copies the weights of a block to its other form."""
    looped, unrolled = (source, target) if isinstance(source, LoopedAggregationBlock) else (target, source)
    if looped.shortcut is not None:
        for one, other in ((looped.shortcut, unrolled.shortcut), (looped.first_unit, unrolled.units[0])):
            one, other = (one, other) if looped is source else (other, one)
            other.set_weights(one.get_weights())
    units = unrolled.units[len(unrolled.units) - len(looped.packed.widths) :]
    if looped is source:
        arrays = [[ops.convert_to_numpy(variable) for variable in one] for one in looped.variables_of_units]
        for i, unit in enumerate(units):
            for variables, values in zip(_variables(unit), looped.packed.unpack(arrays, i), strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
    else:
        of_units = [_variables(unit) for unit in units]
        for j, packed in enumerate(looped.variables_of_units):
            for k, variable in enumerate(packed):
                parts = [ops.convert_to_numpy(variables[j][k]) for variables in of_units]
                variable.assign(ops.concatenate(parts, axis=max(0, parts[0].ndim - 2)))


def _copy(layer):
    return None if layer is None else type(layer).from_config(layer.get_config())


def _kind(unit):
    return (unit.filters, unit.kernel_size, unit.strides, unit.data_format, unit.dtype_policy.name)


def _is_as_made(unit):
    """Whether a unit holds the layers that one would make itself, with weights of whatever origin."""
    plain = PreactivationUnit(
        unit.filters, unit.kernel_size, unit.strides, data_format=unit.data_format, dtype=unit.dtype_policy
    )
    pairs = [*zip(unit.norms, plain.norms, strict=True), *zip(unit.convolutions, plain.convolutions, strict=True)]
    return unit.activity_regularizer is None and all(
        type(one) in (type(made), keras.layers.BatchNormalization)
        and not (getattr(one, "lora_enabled", False) or getattr(one, "quantization_mode", None))
        and _essence(one) == _essence(made)
        for one, made in pairs
    )


def _essence(layer):
    """The configuration, without what concerns neither the function nor how it is trained on."""
    config = layer.get_config()
    return {key: config[key] for key in config if key not in ("name", "trainable") and "initializer" not in key}


def _variables(unit):
    """The variables of a unit for each convolution, in the order of `PackedUnits.NAMES`."""
    return [
        [norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance, convolution.kernel]
        for norm, convolution in zip(unit.norms, unit.convolutions, strict=True)
    ]
