"""PyTorch's way to differentiate."""


def differentiate(function, tensors):
    """Gradients of a scalar function of a list of tensors."""
    import torch

    tensors = [tensor if tensor.requires_grad else tensor.detach().requires_grad_() for tensor in tensors]
    with torch.enable_grad():
        return torch.autograd.grad(function(tensors), tensors, create_graph=True, allow_unused=True)
