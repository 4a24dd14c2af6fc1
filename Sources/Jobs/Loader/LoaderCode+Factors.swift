extension LoaderCode {
    /// Imports, and modules that hold named tensors under the names of the format.
    static let factors = #"""
    """The layers of this folder for the transformers library, written by lowrank.

        AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

    opens the dense architecture, and in the place of every linear layer that `low_rank_modules` of config.json names
    puts one of the schema that it is stored in. Names in memory are the names in the folder; factors are parameters,
    positions (pivots, places of sparse entries) are buffers. Needs transformers from 4.57 on. vLLM takes it too:

        vllm serve FOLDER --model-impl transformers --trust-remote-code
    """

    import functools
    import importlib
    import math

    import torch
    import transformers
    from torch import nn
    from torch.nn import functional as F
    from transformers.activations import ACT2FN
    from transformers.pytorch_utils import Conv1D

    FORMAT_VERSION = 1


    def position_of_rows(pivots, count):
        """Where each of `count` rows stands if the rows `pivots`, ascending, come first and the others follow."""
        is_pivot = torch.zeros(count, dtype=torch.long, device=pivots.device).scatter(0, pivots.long(), 1)
        before = is_pivot.cumsum(0)
        others = torch.arange(count, device=pivots.device) - before + len(pivots)
        return torch.where(is_pivot.bool(), before - 1, others)


    def filled(*shape):
        """A parameter that keeps the size of what it multiplies, until a checkpoint fills it."""
        parameter = nn.Parameter(torch.empty(*shape))
        nn.init.normal_(parameter, std=1 / math.sqrt(max(1, shape[-1])))
        return parameter


    class Loadable(nn.Module):
        """A module that engines fill by its own method: vLLM looks for parameters, not always for buffers, and for none
        that has the name of a child."""

        def load_weights(self, weights):
            """Takes (name, tensor) pairs, and gives the names."""
            own = {**dict(self.named_parameters()), **dict(self.named_buffers())}
            for name, tensor in weights:
                if name not in own or own[name].shape != tensor.shape:
                    raise ValueError(f"no tensor {name!r} of the shape {list(tensor.shape)} in {type(self).__name__}")
                own[name].data.copy_(tensor)
                yield name


    class Positions(nn.Module):
        """`index`: rows of a factor that are those of the identity."""

        def __init__(self, count):
            super().__init__()
            self.register_buffer("index", torch.arange(count, dtype=torch.int32))

        def forward(self):
            return self.index


    class Factors(Loadable):
        """Named tensors. One that is stored without the rows of an identity has their positions under its own name:
        `0` is a tensor then, and `0.pivot.index` another, so `0` is a parameter and a child at once."""

        def __init__(self):
            super().__init__()
            self.names = []

        def add(self, name, shape, has_pivots=False):
            """`shape` is that of the whole factor (rows × columns), or of any tensor without pivots."""
            self.names.append(name)
            pivots = shape[-1] if has_pivots else 0
            self.register_parameter(name, filled(shape[0] - pivots, *shape[1:]))
            if has_pivots:
                child = nn.Module()
                child.pivot = Positions(pivots)
                self._modules[name] = child

        def forward(self):
            """The whole factors and the positions, by name."""
            return {**{name: self.whole(name) for name in self.names}, **self._buffers}

        def whole(self, name):
            stored, child = self._parameters[name], self._modules.get(name)
            if child is None:
                return stored
            pivots = child.pivot()
            identity = torch.eye(len(pivots), dtype=stored.dtype, device=stored.device)
            rows = position_of_rows(pivots.to(stored.device), len(pivots) + len(stored))
            return torch.cat([identity, stored])[rows]

        def __getattr__(self, name):
            value = super().__getattr__(name)
            if name in self._parameters and name in self._modules:
                value.pivot = self._modules[name].pivot  # what walks along `0.pivot.index` passes here
            return value

        def __setattr__(self, name, value):
            if name in self.__dict__.get("_parameters", ()) and isinstance(value, nn.Parameter):
                self._parameters[name] = value  # and leaves the child of this name
            else:
                super().__setattr__(name, value)
    """#
}
