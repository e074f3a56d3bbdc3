"""PyTorch: a loop of Python, with the same stores and the same gradient."""

import torch

from keras_sparse.loops.plain import (
    Kind,
    drop,
    later,
    loop,
    loops_pay,
    pick,
    put,
    read,
    reserve,
    room,
    snapshot,
    stack,
    write,
)

__all__ = [
    "Kind", "differentiable", "drop", "later", "loop", "loops_pay", "pick", "put", "read", "reserve", "room",
    "snapshot", "stack", "vjp", "write",
]  # fmt: skip


def vjp(function, tensors, gradient):
    """The gradient of a function's output, carried back to the tensors that it takes."""
    with torch.enable_grad():
        tensors = [tensor.detach().requires_grad_() for tensor in tensors]
        return torch.autograd.grad(function(*tensors), tensors, gradient)


def differentiable(forward, backward):
    """A function of tensors whose gradient is written by hand; see the file for TensorFlow."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context, *tensors):
            context.tensors = tensors
            outputs, context.kept = forward(*tensors)
            return tuple(outputs)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, *gradients):
            return tuple(backward(context.tensors, context.kept, gradients))

    return Function.apply
