extension LoaderCode {
    /// A layer for every schema but the sparse part.
    static let schemas = #"""
    class LowRankLinear(nn.Module):
        """y = W'x + b for W' (out × in); a schema says how W' is multiplied."""

        def __init__(self, sides, has_bias):
            super().__init__()
            self.out_features, self.in_features = sides
            self.register_parameter("bias", nn.Parameter(torch.zeros(sides[0])) if has_bias else None)
            self.sparse = None

        def forward(self, x):
            tokens = x.reshape(-1, self.in_features)
            y = self.multiply(tokens)
            if self.sparse is not None:
                y = y + self.sparse(tokens)
            if self.bias is not None:
                y = y + self.bias
            return y.reshape(*x.shape[:-1], self.out_features)

        def multiply(self, x):
            """W'x without sparse part and bias; x (tokens × in)."""
            raise NotImplementedError

        def extra_repr(self):
            return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


    class ABLinear(LowRankLinear):
        """W' = A B; the bias is A's, but beside a sparse part."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias and not is_whole)
            self.BLinear = nn.Linear(sides[1], entry["rank"], bias=False)
            self.ALinear = nn.Linear(entry["rank"], sides[0], bias=has_bias and is_whole)

        def multiply(self, x):
            return self.ALinear(self.BLinear(x))


    class PivotRows(Loadable):
        """Rows of W' (pivots × in), and which they are. No `nn.Linear`: engines put their own in the place of those,
        without the buffer."""

        def __init__(self, count, inputs):
            super().__init__()
            self.weight = filled(count, inputs)
            self.register_buffer("index", torch.arange(count, dtype=torch.int32))

        def forward(self, x):
            """What the rows give, and which they are; offloaded tensors are there only in here."""
            return F.linear(x, self.weight), self.index


    class PivotLinear(LowRankLinear):
        """Some rows of W', and the others as their combinations."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias)
            self.pivot = PivotRows(entry["rank"], sides[1])
            self.rest = nn.Linear(entry["rank"], sides[0] - entry["rank"], bias=False)

        def multiply(self, x):
            pivots, index = self.pivot(x)
            rows = position_of_rows(index, self.out_features)
            return torch.cat([pivots, self.rest(pivots)], dim=-1)[:, rows.to(pivots.device)]


    class SharedBasisLinear(LowRankLinear):
        """Coefficients of its own on a basis that several layers have."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias)
            self.coefficients = filled(sides[0], entry["rank"])
            self.has_pivots = entry.get("pivot", False)
            # In a tuple, so that it is not stored with this layer too.
            self.basis = (shared.node("shared", entry["basis"], shared_basis, entry, sides),)

        def multiply(self, x):
            basis = self.basis[0]()["basis"].to(x.device)
            return F.linear(x @ basis if self.has_pivots else F.linear(x, basis), self.coefficients)


    class TuckerLinear(LowRankLinear):
        """W' = U₁ C U₂."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias)
            self.has_pivots = entry.get("pivot", False)
            out_rank, in_rank = entry["ranks"]
            self.tucker = Factors()
            self.tucker.add("out", (sides[0], out_rank), self.has_pivots)
            self.tucker.add("core", (out_rank, in_rank))
            # Pivots are rows: a factor that has them stands upright.
            self.tucker.add("in", (sides[1], in_rank) if self.has_pivots else (in_rank, sides[1]), self.has_pivots)

        def multiply(self, x):
            factors = self.tucker()
            bond = x @ factors["in"] if self.has_pivots else F.linear(x, factors["in"])
            return F.linear(F.linear(bond, factors["core"]), factors["out"])


    class TuckerMemberLinear(LowRankLinear):
        """A member of a stack of matrices whose core and factors are stored once."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias)
            self.member, self.heads, self.axis = entry["slice"], entry.get("heads"), entry.get("axis")
            self.group = (shared.node("tucker", entry["group"], TuckerGroup, entry, sides, shared.members(entry)),)

        def multiply(self, x):
            core, factors = self.group[0]()
            core, factors = core.to(x.device), {int(axis): factor.to(x.device) for axis, factor in factors.items()}
            if self.heads is None:
                return self.multiply_matrix(x, core, factors)
            return self.multiply_heads(x, core, factors)

        def multiply_matrix(self, x, core, factors):
            """core (members × out × in)"""
            core = torch.tensordot(factors[0][self.member], core, 1) if 0 in factors else core[self.member]
            x = F.linear(x @ factors[2] if 2 in factors else x, core)
            return F.linear(x, factors[1]) if 1 in factors else x

        def multiply_heads(self, x, core, factors):
            """core (hidden × heads × head_dim × projections), without the last for a single projection"""
            if core.dim() == 4:
                core = core @ factors[3][self.member] if 3 in factors else core[..., self.member]
            if self.axis == "outputs":
                y = torch.einsum("ta,ahb->thb", x @ factors[0] if 0 in factors else x, core)
                return (F.linear(y, factors[2]) if 2 in factors else y).flatten(1)
            x = x.reshape(len(x), self.heads, -1)
            y = torch.einsum("thb,ahb->ta", x @ factors[2] if 2 in factors else x, core)
            return F.linear(y, factors[0]) if 0 in factors else y


    class TTLinear(LowRankLinear):
        """A chain of cores (r × out × in × r')."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias)
            ranks, outs, ins = entry["ranks"], entry["out_modes"], entry["in_modes"]
            self.shapes = [(ranks[k], outs[k], ins[k], ranks[k + 1]) for k in range(len(outs))]
            self.tt = Factors()
            self.sweep_macs, self.dense_macs = 0, 0
            done, left, formed = 1, sides[1], 1
            for k, shape in enumerate(self.shapes):
                rows = math.prod(shape[:3])
                has_pivots = entry.get("storage") == "pivot" and k + 1 < len(outs) and rows > shape[3]
                self.tt.add(str(k), (rows, shape[3]) if has_pivots else shape, has_pivots)
                left //= shape[2]
                self.sweep_macs += done * left * math.prod(shape)
                self.dense_macs += formed * math.prod(shape) if k else 0
                done, formed = done * shape[1], formed * shape[1] * shape[2]

        def multiply(self, x):
            factors = self.tt()
            cores = [factors[str(k)].reshape(shape) for k, shape in enumerate(self.shapes)]
            if len(x) * self.sweep_macs > self.dense_macs + len(x) * self.out_features * self.in_features:
                return F.linear(x, self.dense(cores))
            state = x.reshape(len(x), 1, 1, self.in_features)  # tokens × outputs done × bond × inputs left
            for core, (_, _, inputs, _) in zip(cores, self.shapes):
                state = state.reshape(*state.shape[:3], inputs, -1)
                state = torch.einsum("tarnx,rmns->tamsx", state, core).flatten(1, 2)
            return state.reshape(len(x), self.out_features)

        def dense(self, cores):
            count, weight = len(cores), cores[0]
            for core in cores[1:]:
                weight = torch.tensordot(weight, core, 1)
            weight = weight.reshape(weight.shape[1:-1])
            outs, ins = range(0, 2 * count, 2), range(1, 2 * count, 2)
            return weight.permute(*outs, *ins).reshape(self.out_features, self.in_features)


    class MixTLinear(LowRankLinear):
        """The mean of maps that each work on one digit of the inputs, and leave the others as they are."""

        def __init__(self, entry, sides, has_bias, shared, is_whole=True):
            super().__init__(sides, has_bias)
            self.base, self.branches, self.padded = entry["base"], entry["branches"], entry["padded"]
            unit = self.base ** (self.branches - 1)
            self.mixt = Factors()
            for k in range(self.branches):
                self.mixt.add(str(k), (self.padded[0] // unit, self.padded[1] // unit))
            self.is_ordered = entry.get("order") == "fitted"
            if self.is_ordered:
                self.mixt.register_buffer("rows", torch.arange(sides[0], dtype=torch.int32))
                self.mixt.register_buffer("columns", torch.arange(sides[1], dtype=torch.int32))

        def multiply(self, x):
            stored = self.mixt()
            if self.is_ordered:
                x = x[:, stored["columns"].to(x.device)]
            x = F.pad(x, (0, self.padded[1] - self.in_features))
            y = 0
            for k in range(self.branches):
                branch, inner = stored[str(k)], self.base ** (self.branches - 1 - k)
                y = y + (branch @ x.reshape(-1, branch.shape[1], inner)).reshape(len(x), -1)
            y = y[:, :self.out_features] / self.branches
            return torch.empty_like(y).index_copy(1, stored["rows"].long().to(y.device), y) if self.is_ordered else y
    """#
}
