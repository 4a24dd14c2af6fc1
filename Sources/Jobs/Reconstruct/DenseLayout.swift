import Checkpoints
import CompressionCore
import Safetensors

/// The tensors of the dense checkpoint behind a compressed folder, and where each comes from.
struct DenseLayout {
    /// One matrix of a tensor; most tensors have one part, stacks of experts have one for each expert.
    enum Part {
        case stored(String)
        case compressed(CompressedModule)
    }

    struct Tensor {
        var declaration: TensorDeclaration
        var parts: [Part]
    }

    let tensors: [Tensor]
    let config: JSON

    init(_ checkpoint: Checkpoint, precision: ReconstructJob.Precision) throws {
        var builder = Builder(checkpoint: checkpoint, precision: precision)
        tensors = try builder.build()
        config = Self.denseConfig(checkpoint.config, precision: precision)
    }

    var byteCount: Int {
        tensors.reduce(0) { $0 + $1.declaration.shape.reduce(1, *) * $1.declaration.dtype.bits / 8 }
    }

    /// The configuration of the source again.
    private static func denseConfig(_ compressed: JSON, precision: ReconstructJob.Precision) -> JSON {
        var config = compressed
        if let original = config["low_rank_base_model_type"] { config["model_type"] = original }
        config["auto_map"] = config["low_rank_base_auto_map"]
        for key in compressed.object?.keys ?? [] where key.hasPrefix("low_rank_") { config[key] = nil }
        if precision == .f32 {
            for key in ["torch_dtype", "dtype"] where config[key] != nil { config[key] = "float32" }
        }
        return config
    }

    /// Walks through the stored tensors in their order, and puts each dense weight where its first factor stands; a
    /// module that has no tensor but shared ones comes last.
    private struct Builder {
        let checkpoint: Checkpoint
        let precision: ReconstructJob.Precision
        private var tensors: [Tensor] = []
        private var positions: [String: Int] = [:]

        init(checkpoint: Checkpoint, precision: ReconstructJob.Precision) {
            self.checkpoint = checkpoint
            self.precision = precision
        }

        mutating func build() throws -> [Tensor] {
            let modules = Dictionary(uniqueKeysWithValues: checkpoint.compressedModules.map { ($0.name, $0) })
            let stacks = Set(checkpoint.compressedModules.compactMap { Self.stack(of: $0.name)?.name })
            for tensor in checkpoint.tensors where tensor.role != .shared {
                if let module = modules[tensor.module] {
                    if Self.isBias(tensor, of: module) {
                        add("\(module.name).bias", tensor.shape, tensor.dtype, .stored(tensor.name))
                    } else if positions[Self.position(of: module.name)] == nil {
                        try add(module)
                    }
                } else if let stack = Self.stack(of: tensor.module), stacks.contains(stack.name) {
                    add(slice: tensor.module, tensor.shape, tensor.dtype, .stored(tensor.name))
                } else {
                    add(tensor.name, tensor.shape, tensor.dtype, .stored(tensor.name))
                }
            }
            for module in checkpoint.compressedModules where positions[Self.position(of: module.name)] == nil {
                try add(module)
            }
            return tensors
        }

        private mutating func add(_ module: CompressedModule) throws {
            positions[Self.position(of: module.name)] = tensors.count
            let stored = try checkpoint.compressedOperator(of: module)
            let sides = [stored.outFeatures, stored.inFeatures]
            let shape = module.isTransposed ? sides.reversed() : sides
            let dtype = try self.dtype(of: module, stored)
            if Self.stack(of: module.name) != nil {
                add(slice: module.name, shape, dtype, .compressed(module))
            } else {
                add("\(module.name).weight", shape, dtype, .compressed(module))
            }
        }

        /// Adds a matrix to its stack, at the place of its expert among those that are there.
        private mutating func add(slice: String, _ shape: [Int], _ dtype: TensorDType, _ part: Part) {
            guard let stack = Self.stack(of: slice) else { return }
            if let position = positions[stack.name] {
                let index = Self.index(of: part)
                let place = tensors[position].parts.firstIndex { Self.index(of: $0) > index }
                tensors[position].parts.insert(part, at: place ?? tensors[position].parts.count)
                var stacked = tensors[position].declaration.shape
                stacked[0] += 1
                tensors[position].declaration = TensorDeclaration(
                    name: stack.name, dtype: tensors[position].declaration.dtype, shape: stacked)
            } else {
                positions[stack.name] = tensors.count
                add(stack.name, [1] + shape, dtype, part)
            }
        }

        private mutating func add(_ name: String, _ shape: [Int], _ dtype: TensorDType, _ part: Part) {
            let written = precision == .f32 && dtype.elementType != nil ? TensorDType.f32 : dtype
            tensors.append(
                Tensor(declaration: TensorDeclaration(name: name, dtype: written, shape: shape), parts: [part]))
        }

        /// The type of the dense weight: what the entry says, otherwise that of the factors.
        private func dtype(of module: CompressedModule, _ stored: any LinearOperator) throws -> TensorDType {
            guard let name = module.entry["dtype"]?.string else {
                return stored.tensors.first { !$0.isIndex }?.tensor.dtype ?? .f32
            }
            guard let dtype = TensorDType(rawValue: name), dtype.elementType != nil else {
                throw JobError.badInput(
                    "low_rank_modules says type \"\(name)\" for \(module.name); expected F64, F32, F16 or BF16",
                    file: checkpoint.path, tensor: module.name)
            }
            return dtype
        }

        private static func isBias(_ tensor: CheckpointTensor, of module: CompressedModule) -> Bool {
            tensor.name == MethodRegistry.library.biasName(of: module.name, schema: module.schema)
        }

        /// The stack that `<stack>.<expert>` is a slice of.
        private static func stack(of module: String) -> (name: String, index: Int)? {
            guard let dot = module.lastIndex(of: "."), let index = Int(module[module.index(after: dot)...]) else {
                return nil
            }
            return (String(module[..<dot]), index)
        }

        /// Which expert a part of a stack is.
        private static func index(of part: Part) -> Int {
            switch part {
            case .stored(let name): stack(of: String(name.dropLast(".weight".count)))?.index ?? 0
            case .compressed(let module): stack(of: module.name)?.index ?? 0
            }
        }

        private static func position(of module: String) -> String { "\(module).weight" }
    }
}
