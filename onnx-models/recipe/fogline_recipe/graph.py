"""Runs a function over tensors as one CUDA graph; on other devices, as it is."""

from collections.abc import Callable

import torch
from torch import Tensor


class Graphed:
    """Calls ``compute``. On CUDA the first calls run as they are, the next is captured as a graph, and from then on it is replayed.

    A graph saves some thousand kernel launches per step. It keeps the addresses from the capture: inputs are copied into its own
    tensors, every other tensor must stay where it is, and ``compute`` must not synchronise with the device.
    """

    # Until then cuDNN has chosen its kernels, and what is made at first use has been: neither may happen in a capture.
    FIRST = 3

    def __init__(self, compute: Callable[..., Tensor], where: torch.device):
        self.compute, self.cuda, self.calls = compute, where.type == "cuda", 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not self.cuda:
            return self.compute(*inputs)
        self.calls += 1
        if self.calls <= self.FIRST:
            return self.beside(*inputs)
        if self.calls == self.FIRST + 1:
            self.inputs, self.graph = [tensor.clone() for tensor in inputs], torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.output = self.compute(*self.inputs)
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return self.output

    def beside(self, *inputs: Tensor) -> Tensor:
        """On another stream, as what comes before a capture has to run."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            output = self.compute(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        return output
