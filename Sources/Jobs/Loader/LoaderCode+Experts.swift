extension LoaderCode {
    /// Mixtures of experts, which the two lines of transformers build differently.
    static let experts = #"""
    class Experts(nn.Module):
        """Experts as the folder names them: each a module with its layers, or stacks, whose slices are layers where
        some of them are compressed."""

        def __init__(self, count, hidden, intermediate, layers, sliced):
            super().__init__()
            self.layers = layers
            if len(layers) == 2:
                for name, sides in zip(layers, [(2 * intermediate, hidden), (hidden, intermediate)]):
                    if name in sliced:
                        slices = [nn.Linear(sides[1], sides[0], bias=False) for _ in range(count)]
                        self.add_module(name, nn.ModuleList(slices))
                    else:
                        self.register_parameter(name, filled(count, *sides))
            else:
                sides = [(intermediate, hidden), (intermediate, hidden), (hidden, intermediate)]
                for expert in range(count):
                    module = nn.Module()
                    for name, (rows, columns) in zip(layers, sides):
                        module.add_module(name, nn.Linear(columns, rows, bias=False))
                    self.add_module(str(expert), module)

        def forward(self, x, expert, activation):
            if len(self.layers) == 3:
                gate, up, down = (getattr(self._modules[str(expert)], name) for name in self.layers)
                return down(activation(gate(x)) * up(x))
            first, second = (getattr(self, name)[expert] for name in self.layers)
            gate, up = apply(first, x).chunk(2, dim=-1)
            return apply(second, activation(gate) * up)


    def apply(layer, x):
        return F.linear(x, layer) if isinstance(layer, torch.Tensor) else layer(x)


    class ExpertBlock(nn.Module):
        """Router and experts, in place of the block of either line of transformers.

        transformers 5 records the logits of routers, whose module stays; transformers 4 those of its blocks, which give
        them beside the result."""

        def __init__(self, config, dense, experts):
            nn.Module.__init__(self)
            self.top_k, self.returns_logits = config.num_experts_per_tok, isinstance(dense.gate, nn.Linear)
            self.normalises = getattr(config, "norm_topk_prob", True)
            self.jitter = getattr(config, "router_jitter_noise", 0.0) or 0.0
            self.activation = ACT2FN[config.hidden_act]
            self.gate = dense.gate
            self.experts = experts

        @classmethod
        def replacing(cls, config, dense, experts):
            """A block that transformers takes for one of its own."""
            return type(cls.__name__, (cls, type(dense)), {})(config, dense, experts)

        def forward(self, hidden):
            if self.training and self.jitter > 0:
                hidden = hidden * torch.empty_like(hidden).uniform_(1 - self.jitter, 1 + self.jitter)
            x = hidden.reshape(-1, hidden.shape[-1])
            routed = self.gate(x)
            logits = routed[0] if isinstance(routed, tuple) else routed
            weights, chosen = F.softmax(logits, dim=-1, dtype=torch.float).topk(self.top_k, dim=-1)
            if self.normalises:
                weights = weights / weights.sum(dim=-1, keepdim=True)
            weights = weights.to(x.dtype)
            y = torch.zeros_like(x)
            for expert in chosen.unique().tolist():
                tokens, places = torch.where(chosen == expert)
                part = self.experts(x[tokens], expert, self.activation) * weights[tokens, places, None]
                y = y.index_add(0, tokens, part.to(y.dtype))
            y = y.reshape(hidden.shape)
            return (y, logits) if self.returns_logits else y
    """#
}
