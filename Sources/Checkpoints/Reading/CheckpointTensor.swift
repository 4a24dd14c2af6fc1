import Safetensors

/// A tensor of a checkpoint with its role in the model.
public struct CheckpointTensor: Sendable {
    public let name: String
    public let dtype: TensorDType
    /// As stored.
    public let shape: [Int]
    public let byteCount: Int
    /// The module it belongs to: its name without `.weight`, `.bias`, or what a compressed schema adds.
    public let module: String
    public let role: ModuleRole
    /// The block it is in, nil outside of blocks.
    public let layer: Int?
    public let expert: Int?
    /// Whether it is the weight of a layer that stores it (in × out).
    public let isTransposed: Bool
    /// Which of `Checkpoint.files` holds it.
    public let file: Int
    /// Index in the modules of the architecture, where it is one of them.
    let architectureModule: Int?

    public var elementCount: Int { shape.reduce(1, *) }
}

/// A linear layer stored dense, or as two thin factors: y = W x + b with W (out × in).
///
/// Each slice of a stack of experts is a layer of its own.
public struct LinearModule: Sendable, Equatable {
    /// Name in reports, plans and patterns: the weight's without `.weight`, for a slice `<stack>.<expert>`.
    public let name: String
    /// The tensor that holds W, perhaps with others or transposed; of factors the one that would.
    public let weightName: String
    public let biasName: String?
    public let role: ModuleRole
    public let layer: Int?
    public let expert: Int?
    public let outFeatures: Int
    public let inFeatures: Int
    public let dtype: TensorDType
    /// Whether the tensor stores (in × out).
    public let isTransposed: Bool
    /// Which matrix of a stack it is; nil where the tensor is W alone.
    public let slice: Int?
    /// Whether it is compressed unless the user says otherwise: in a block, and neither router nor head.
    public let selectedByDefault: Bool
    /// What W is stored as where it is not dense.
    public var factors: Factors?

    /// Two thin matrices whose product is W.
    public struct Factors: Sendable, Equatable {
        public let schema: String
        public let rank: Int
        public let tensors: [String]
        /// Numbers in them; positions are not counted.
        public let parameters: Int
        public let positions: Int
        public let bytes: Int
    }

    /// Numbers in W.
    public var parameters: Int { outFeatures * inFeatures }

    /// Numbers, and multiply-adds per token, of the form that W is stored in.
    public var storedParameters: Int { factors?.parameters ?? parameters }

    public var storedBytes: Int { factors?.bytes ?? parameters * dtype.bits / 8 }

    /// The tensors that hold W.
    public var tensorNames: [String] { factors?.tensors ?? [weightName] }
}

/// A linear layer stored in a compressed schema.
public struct CompressedModule: Sendable {
    public let name: String
    public let schema: String
    /// Its entry in `low_rank_modules`.
    public let entry: JSON
    public let role: ModuleRole
    public let layer: Int?
    public let expert: Int?
    /// Whether the dense model stores the weight as (in × out).
    public let isTransposed: Bool

    /// Whether the dense layer would be compressed unless the user says otherwise.
    public var selectedByDefault: Bool { layer != nil && role.isSelectedInBlocks }
}
