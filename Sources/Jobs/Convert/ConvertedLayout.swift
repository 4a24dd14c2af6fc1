import Checkpoints
import CompressionCore
import Safetensors

/// The tensors and the configuration of a folder whose matrices are stored the other way.
struct ConvertedLayout {
    /// The matrices that change their form.
    let forms: [StoredForm]
    /// Compressed matrices that stay as they are.
    let others: [CompressedModule]
    /// Every tensor, and the one that it is a copy of; nil for those of `forms`.
    private(set) var tensors: [(declaration: TensorDeclaration, original: String?)] = []
    let config: JSON

    init(_ checkpoint: Checkpoint, storage: MethodSettings.Storage) throws {
        var forms: [StoredForm] = []
        var others: [CompressedModule] = []
        for module in checkpoint.compressedModules {
            if let form = try StoredForm(of: module, as: storage, in: checkpoint) {
                forms.append(form)
            } else {
                others.append(module)
            }
        }
        self.forms = forms
        self.others = others
        config = Self.config(checkpoint.config, forms)
        try list(checkpoint)
    }

    /// As messages name them.
    var otherSchemas: String { Set(others.map(\.schema)).sorted().joined(separator: ", ") }

    var byteCount: Int {
        tensors.reduce(0) { $0 + $1.declaration.shape.reduce(1, *) * $1.declaration.dtype.bits / 8 }
    }

    /// The new tensors of a matrix stand where its first old one stood; shared tensors stay as long as a matrix needs
    /// them.
    private mutating func list(_ checkpoint: Checkpoint) throws {
        let converted = Dictionary(uniqueKeysWithValues: forms.map { ($0.module.name, $0) })
        var needed: Set<String> = []
        for module in others {
            let shared = try checkpoint.compressedOperator(of: module).tensors.filter { $0.scope == .checkpoint }
            needed.formUnion(shared.map(\.name))
        }
        var listed: Set<String> = []
        func add(_ form: StoredForm, to tensors: inout [(declaration: TensorDeclaration, original: String?)]) {
            guard listed.insert(form.module.name).inserted else { return }
            tensors += form.tensors.map { ($0, nil) }
        }
        for tensor in checkpoint.tensors where tensor.role != .shared || needed.contains(tensor.name) {
            guard let form = converted[tensor.module] else {
                let declaration = TensorDeclaration(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape)
                tensors.append((declaration, tensor.name))
                continue
            }
            add(form, to: &tensors)
            let library = MethodRegistry.library
            let module = form.module
            if tensor.name == library.biasName(of: module.name, schema: module.schema),
                let bias = library.biasName(of: module.name, schema: form.schema)
            {
                tensors.append((TensorDeclaration(name: bias, dtype: tensor.dtype, shape: tensor.shape), tensor.name))
            }
        }
        for form in forms { add(form, to: &tensors) }
    }

    private static func config(_ source: JSON, _ forms: [StoredForm]) -> JSON {
        var config = source
        var modules = config["low_rank_modules"]?.object ?? JSONObject()
        for form in forms {
            var entry: JSON = ["schema": JSON(form.schema), "rank": JSON(form.rank)]
            entry["dtype"] = form.module.entry["dtype"]
            modules[form.module.name] = entry
        }
        let schemas = Set(modules.entries.compactMap { $0.value["schema"]?.string })
        config["low_rank_modules"] = .object(modules)
        config["low_rank_schema"] = JSON(schemas.count == 1 ? schemas.first ?? "mixed" : "mixed")
        return config
    }
}
