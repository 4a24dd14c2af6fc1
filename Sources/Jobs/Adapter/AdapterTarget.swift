import Checkpoints

/// What an adapter adds to, by the names that transformers 5 has for it in memory.
enum AdapterTarget: Equatable {
    /// A layer by itself.
    case layer(module: String)
    /// The weight of a layer by itself, in a model with experts: a layer of this name PEFT takes for an expert's of
    /// transformers 4, and turns to the stacks of experts of every block.
    case weight(module: String)
    /// Rows of one expert's slice of a stack.
    case expert(ExpertStack, expert: Int, firstRow: Int)
}

/// The experts of a block as transformers 5 holds them: gate above up in `gate_up_proj` (experts × 2·intermediate ×
/// hidden), and `down_proj` (experts × hidden × intermediate), two parameters of one module.
struct ExpertStack: Hashable {
    enum Parameter: String {
        case gateUp = "gate_up_proj"
        case down = "down_proj"
    }

    /// The module with the parameters: `model.layers.0.mlp.experts`.
    let module: String
    let parameter: Parameter
    /// Rows of a slice.
    let rows: Int

    var name: String { "\(module).\(parameter.rawValue)" }
}

/// Finds what the matrices of a model are in transformers 5.
struct AdapterTargets {
    /// Slices of every stack.
    let experts: Int
    private let modelType: String?

    /// Families whose experts lie as `ExpertStack` says; in others they may be transposed, or gate and up mixed.
    private static let families: Set = ["mixtral", "qwen2_moe", "qwen3_moe"]
    /// Layers that PEFT takes for experts' in these families.
    private static let ambiguous: Set = ["gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"]
    /// How Mixtral's files name what transformers 5 calls `mlp`.
    private static let formerBlock = "block_sparse_moe"

    init(_ model: Checkpoint) {
        modelType = model.modelType
        let indices = model.linearModules.map(\.expert) + model.compressedModules.map(\.expert)
        experts = (indices.compactMap { $0 }.max() ?? -1) + 1
    }

    /// nil for experts whose place is not known.
    func target(of module: LinearModule) -> AdapterTarget? {
        var parts = module.name.split(separator: ".").map(String.init)
        if modelType == "mixtral" { parts = parts.map { $0 == Self.formerBlock ? "mlp" : $0 } }
        guard let expert = module.expert else {
            let name = parts.joined(separator: ".")
            let isAmbiguous = experts > 0 && Self.ambiguous.contains(parts.last ?? "")
            return isAmbiguous ? .weight(module: name) : .layer(module: name)
        }
        guard let modelType, Self.families.contains(modelType), let place = parts.lastIndex(of: "experts") else {
            return nil
        }
        let experts = parts[...place].joined(separator: ".")
        let out = module.outFeatures
        switch module.role {
        case .expertGate, .expertUp:
            let stack = ExpertStack(module: experts, parameter: .gateUp, rows: 2 * out)
            return .expert(stack, expert: expert, firstRow: module.role == .expertUp ? out : 0)
        case .expertFused:
            return .expert(ExpertStack(module: experts, parameter: .gateUp, rows: out), expert: expert, firstRow: 0)
        case .expertDown:
            return .expert(ExpertStack(module: experts, parameter: .down, rows: out), expert: expert, firstRow: 0)
        default:
            return nil
        }
    }
}
