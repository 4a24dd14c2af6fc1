extension LoaderCode {
    /// What a model class is given beside the dense one.
    static let model = #"""
    class LowRankModel:
        """What a compressed model adds to the dense class behind it."""

        def __init__(self, config, *arguments, **options):
            super().__init__(config, *arguments, **options)
            if config.low_rank_format_version != FORMAT_VERSION:
                found = config.low_rank_format_version
                raise ValueError(f"low_rank_format_version is {found}, and this loader reads {FORMAT_VERSION}")
            self.name_head()
            entries = self.without_prefix(config.low_rank_modules)
            if EXPERTS:
                self.replace_experts(entries)
            shared = Shared(self, entries)
            modules = {}
            for name, entry in entries.items():
                prefixed = self.base_model is not self and f"{self.base_model_prefix}.{name}"
                name = prefixed if prefixed and self.find(prefixed) is not None else name
                dense = self.find(name)
                if dense is None:
                    continue  # the head of a model that is opened without it
                parent, _, last = name.rpartition(".")
                layer = layer_of(entry, sides_of(dense), getattr(dense, "bias", None) is not None, shared)
                self.put(layer, dense, self.get_submodule(parent), last)
                modules[name] = entry
            # So that what is saved from here has its own names, which differ where a head was added or left out.
            self.config.low_rank_modules = modules
            if getattr(config, "_attn_implementation", None) == "vllm":
                self.fit_vllm(modules)

        def put(self, layer, dense, parent, name):
            parent._modules[name] = layer
            for attribute in [key for key, value in vars(parent).items() if value is dense]:
                parent.__dict__[attribute] = layer  # a head that is called by another name

        def fit_vllm(self, names):
            """vLLM makes one of linear layers that stand side by side, and what it finds in one module it holds to be
            so in all of the same class: modules that are compressed in other places get other classes."""
            devices = importlib.import_module("vllm.distributed").get_tensor_model_parallel_world_size()
            if devices > 1:
                raise ValueError(f"compressed layers cannot be divided; tensor_parallel_size must be 1, not {devices}")
            for name, module in self.named_modules():
                if isinstance(module, Experts) and {parameter.dim() for parameter in module.parameters()} == {3}:
                    raise ValueError(f"vLLM would put its own experts in the place of the dense stacks of {name}")
            places = {}
            for name in names:
                parent, _, last = name.rpartition(".")
                places.setdefault(parent, set()).add(last)
            for parent, children in places.items():
                module = self.get_submodule(parent)
                module.__class__ = class_with(type(module), frozenset(children))

        def without_prefix(self, modules):
            prefix = f"{self.base_model_prefix}."
            return {name.removeprefix(prefix): entry for name, entry in modules.items()}

        def find(self, name):
            try:
                return self.get_submodule(name)
            except AttributeError:
                return None

        def get_submodule(self, target):
            """By the names of modules alone: a parameter of `Factors` may have the name of a module."""
            module = self
            for name in target.split(".") if target else []:
                if name not in module._modules:
                    raise AttributeError(f"{type(module).__name__} has no module {name} of {target}")
                module = module._modules[name]
            return module

        def replace_experts(self, entries):
            config, base = self.config, self.base_model
            count = getattr(config, "num_local_experts", None) or config.num_experts
            intermediate = getattr(config, "moe_intermediate_size", None) or config.intermediate_size
            for index, layer in enumerate(base.layers):
                attribute = "block_sparse_moe" if "block_sparse_moe" in layer._modules else "mlp"
                if not hasattr(layer._modules[attribute], "experts"):
                    continue
                stacks = f"layers.{index}.{EXPERTS['block']}.experts."
                sliced = {name for name in EXPERTS["layers"] if any(e.startswith(f"{stacks}{name}.") for e in entries)}
                experts = Experts(count, config.hidden_size, intermediate, EXPERTS["layers"], sliced)
                block = ExpertBlock.replacing(config, layer._modules[attribute], experts)
                delattr(layer, attribute)
                layer.add_module(EXPERTS["block"], block)
                if attribute != EXPERTS["block"]:
                    layer.__dict__[attribute] = block  # called by this name, stored under the other

        def name_head(self):
            """The two lines of transformers name the head of GPT-NeoX differently; in the folder it has one name."""
            attribute = {"lm_head": "embed_out", "embed_out": "lm_head"}.get(HEAD)
            if attribute in self._modules:
                head = self._modules.pop(attribute)
                self.add_module(HEAD, head)
                self.__dict__[attribute] = head

        def _get_key_renaming_mapping(self, checkpoint_keys, *arguments, **options):
            """transformers 4, which alone calls this, takes a key without the prefix of the base model for a head's.
            Keys that all models have stay as they are, and leave its list, from which it would drop them later."""
            shared = [key for key in checkpoint_keys if key.startswith("lowrank.")]
            checkpoint_keys[:] = [key for key in checkpoint_keys if not key.startswith("lowrank.")]
            mapping = super()._get_key_renaming_mapping(checkpoint_keys, *arguments, **options)
            return {**mapping, **{key: key for key in shared}}

        @classmethod
        def from_pretrained(cls, folder, *arguments, output_loading_info=False, **options):
            """
            Raises:
                ValueError: where tensors of compressed layers are missing; transformers would fill them with noise.
            """
            model, info = super().from_pretrained(folder, *arguments, output_loading_info=True, **options)
            compressed = tuple(f"{name}." for name in model.config.low_rank_modules) + ("lowrank.",)
            missing = sorted(key for key in info["missing_keys"] if key.startswith(compressed))
            if missing:
                raise ValueError(f"{folder} lacks {len(missing)} tensors of compressed layers, {missing[0]} for one")
            return (model, info) if output_loading_info else model


    @functools.cache
    def class_with(dense, children):
        """A class of the same name for modules of the class `dense` in which `children` are compressed."""
        return type(dense.__name__, (dense,), {})


    class OlderKeys:
        """What a configuration adds: transformers 4 knows the parts of `rope_parameters`, which is what 5 saves."""

        @classmethod
        def from_dict(cls, config_dict, **options):
            rope = config_dict.get("rope_parameters")
            if int(transformers.__version__.split(".")[0]) < 5 and rope and "rope_theta" in rope:
                is_neox = cls.model_type.endswith("gpt_neox")
                names = {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}
                older = {names[key] if is_neox else key: rope[key] for key in names if key in rope}
                scaling = {key: value for key, value in rope.items() if key not in names}
                is_scaled = scaling.get("rope_type", "default") != "default"
                config_dict = {**config_dict, **older, "rope_scaling": scaling if is_scaled else None}
            return super().from_dict(config_dict, **options)


    def sides_of(dense):
        """(out, in) of a linear layer; GPT-2's are transposed."""
        sides = tuple(dense.weight.shape)
        return sides[::-1] if isinstance(dense, Conv1D) else sides
    """#
}
