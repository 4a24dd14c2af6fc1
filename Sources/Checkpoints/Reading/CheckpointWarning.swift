import Safetensors

/// Something about a checkpoint that is odd but does not keep its tensors from being read.
public enum CheckpointWarning: Equatable, Sendable {
    case missingConfig(folder: String)
    /// A tensor that the configuration promises.
    case missingTensor(String)
    case shapeDisagrees(tensor: String, expected: [Int], found: [Int])
    /// A tensor of a layer that the configuration does not have.
    case layerBeyondConfig(tensor: String, layers: Int)
    /// `metadata.total_size` of the index; nil where it is not a whole number.
    case totalSize(expected: Int, found: Int?)
    /// Both `model.safetensors` and an index are there; the file was read.
    case ignoredIndex(file: String)
    case unknownArchitecture(modelType: String)
    /// A linear layer in a number format that cannot be computed with.
    case unreadableWeight(tensor: String, dtype: TensorDType)
}

extension CheckpointWarning: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missingConfig(let folder): "\(folder): no config.json; the model is read by the names of its tensors"
        case .missingTensor(let name): "tensor \"\(name)\" is missing"
        case .shapeDisagrees(let tensor, let expected, let found):
            "tensor \"\(tensor)\" has shape \(found), but by config.json \(expected)"
        case .layerBeyondConfig(let tensor, let layers):
            "tensor \"\(tensor)\" belongs to none of the \(layers) layers of config.json"
        case .totalSize(let expected, let found):
            "the index gives a total_size of \(found.map(String.init) ?? "no number"), the tensors have \(expected) "
                + "bytes"
        case .ignoredIndex(let file): "\(file) is ignored, because model.safetensors is there too"
        case .unknownArchitecture(let modelType):
            "model_type \"\(modelType)\" is not known; the model is read by the names and shapes of its tensors"
        case .unreadableWeight(let tensor, let dtype):
            "tensor \"\(tensor)\" is stored as \(dtype.rawValue), which is carried along but not computed with"
        }
    }
}
