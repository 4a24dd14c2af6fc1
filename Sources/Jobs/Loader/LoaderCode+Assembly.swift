extension LoaderCode {
    /// The sparse part, the choice of a layer by its entry, and what several layers share.
    static let assembly = #"""
    class Sparse(Loadable):
        """Single entries of a matrix (out × in): values are trained, their places stay."""

        def __init__(self, sides, pattern, count):
            super().__init__()
            self.sides = sides
            size = sides[0] * sides[1]
            kept, _, width = pattern.partition(":")
            self.values = filled(sides[0], sides[1] // int(width) * int(kept)) if width else filled(count)
            distances, bits = 2 * count + 4 * (sides[0] + 1), (size + 7) // 8
            if pattern == "2:4":
                self.layout = "index"
                self.register_buffer("index", torch.zeros((count + 3) // 4, dtype=torch.uint8))
            elif sides[1] <= 1 << 16 and count < 1 << 31 and distances < bits:
                self.layout = "columns"
                self.register_buffer("columns", torch.zeros(count, dtype=torch.uint16))
                offsets = torch.full((sides[0] + 1,), count, dtype=torch.int32)
                self.register_buffer("offsets", torch.where(torch.arange(sides[0] + 1) == 0, 0, offsets))
            else:
                self.layout = "bitmap"
                self.register_buffer("bitmap", torch.zeros(bits, dtype=torch.uint8))

        def forward(self, x):
            return F.linear(x, self.dense())

        def dense(self):
            values = self.values.flatten()
            empty = values.new_zeros(self.sides[0] * self.sides[1])
            if self.layout == "bitmap":
                shifts = torch.arange(8, dtype=torch.uint8, device=self.bitmap.device)
                bits = (self.bitmap[:, None] >> shifts & 1).flatten()[:len(empty)]
                return empty.masked_scatter(bits.bool(), values).reshape(self.sides)
            places = self.places_of_pairs() if self.layout == "index" else self.places_of_distances()
            return empty.scatter(0, places, values).reshape(self.sides)

        def places_of_pairs(self):
            """Two of every four columns, in two bits each."""
            shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=self.index.device)
            within = (self.index[:, None] >> shifts & 3).flatten()[:self.values.numel()].long()
            return torch.arange(len(within), device=within.device) // 2 * 4 + within

        def places_of_distances(self):
            """Each entry by its distance to the one before it in its row."""
            ends = self.columns.long().cumsum(0)
            offsets = self.offsets.long()
            rows = torch.searchsorted(offsets[1:], torch.arange(len(ends), device=ends.device), right=True)
            before = torch.cat([ends.new_zeros(1), ends])[offsets]
            return rows * self.sides[1] + ends - before[rows]


    SCHEMAS = {
        "ABLinear": ABLinear, "PivotLinear": PivotLinear, "SharedBasisLinear": SharedBasisLinear,
        "TuckerLinear": TuckerLinear, "TTLinear": TTLinear, "MixTLinear": MixTLinear,
    }


    def layer_of(entry, sides, has_bias, shared):
        """The layer of an entry of `low_rank_modules`."""
        if entry["schema"] == "SatenLinear":
            part = entry["low_rank"]
            layer = SCHEMAS[part["schema"]](part, sides, has_bias, shared, is_whole=False)
            layer.sparse = Sparse(sides, entry["pattern"], entry["nnz"])
            return layer
        if entry["schema"] not in SCHEMAS:
            raise ValueError(f"schema {entry['schema']} is not known to this loader")
        schema = TuckerMemberLinear if "group" in entry else SCHEMAS[entry["schema"]]
        return schema(entry, sides, has_bias, shared)


    def shared_basis(entry, sides):
        """A basis (rank × in); with pivots, which are rows, it stands upright."""
        has_pivots, basis = entry.get("pivot", False), Factors()
        basis.add("basis", (sides[1], entry["rank"]) if has_pivots else (entry["rank"], sides[1]), has_pivots)
        return basis


    class TuckerGroup(nn.Module):
        """What a stack stores once: its core, and a factor for every axis that is not whole."""

        def __init__(self, entry, sides, members):
            super().__init__()
            whole, ranks = entry.get("whole", []), entry["ranks"]
            if "heads" in entry:
                is_outputs = entry["axis"] == "outputs"
                hidden, rows = (sides[1], sides[0]) if is_outputs else (sides[0], sides[1])
                lengths = {0: hidden, 2: rows // entry["heads"], 3: members}
                core = [ranks[0], entry["heads"], *ranks[1:]]
                axes = [0, 2, 3][:len(ranks)]
            else:
                lengths, core, axes = {0: members, 1: sides[0], 2: sides[1]}, ranks, [0, 1, 2]
            self.core = filled(*core)
            self.factor = Factors()
            for axis, rank in zip(axes, ranks):
                if axis not in whole:
                    self.factor.add(str(axis), (lengths[axis], rank), entry.get("pivot", False))

        def forward(self):
            return self.core, self.factor()


    class Shared:
        """The tensors under `lowrank.` of a model, which several of its layers refer to."""

        def __init__(self, model, modules):
            self.model, self.modules = model, modules

        def members(self, entry):
            """Members of the stack of an entry."""
            return 1 + max(other["slice"] for other in self.modules.values() if other.get("group") == entry["group"])

        def node(self, kind, identifier, make, *arguments):
            """The module at `lowrank.<kind>.<identifier>`, made where there is none."""
            *path, last = f"lowrank.{kind}.{identifier}".split(".")
            node = self.model
            for name in path:
                if name not in node._modules:
                    node.add_module(name, nn.Module())
                node = node._modules[name]
            if last not in node._modules:
                node.add_module(last, make(*arguments))
            return node._modules[last]
    """#
}
